"""`strongroom config`: every setting, its value, and whether it was set."""

import os
from typing import NamedTuple

import click
from pydantic import SecretStr

from workers.cli import output
from workers.settings import Settings
from workers.settings_checks import variable


class Line(NamedTuple):
    variable: str
    value: object
    source: str  # environment or default
    meaning: str


@click.command()
@output.json_option
def config(as_json: bool) -> None:
    """Print every setting, its value and where it came from.

    Secrets are masked. docs/settings.md has units and defaults.
    """
    output.table(Line._fields, lines(Settings.load()), as_json=as_json, title="Settings")


def lines(settings: Settings) -> list[Line]:
    found = []
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = str(value) if isinstance(value, SecretStr) else value  # pydantic masks it
        source = "environment" if os.environ.get(variable(name)) else "default"
        found.append(Line(variable(name), shown, source, info.description or ""))
    return found
