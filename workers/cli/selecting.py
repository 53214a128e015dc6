"""The options by which commands are told which archived objects are meant."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from workers.intake.dispositions import STORED, Disposition
from workers.ledger.shown import Selection

OPTIONS = (
    click.option(
        "--workspace", required=True, help="Whose; `_platform` holds dead letters and unclaimed records."
    ),
    click.option("--source", help="Only this source's."),
    click.option(
        "--day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day's (UTC, the broker's time)."
    ),
    click.option(
        "--disposition",
        "dispositions",
        multiple=True,
        type=click.Choice([disposition.value for disposition in sorted(STORED)]),
        help="Only what became this; may be given several times.",
    ),
)


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` gets a Selection as its first argument."""

    @wraps(command)
    def selecting(
        workspace: str, source: str | None, day: object, dispositions: tuple[str, ...], **rest: Any
    ) -> Any:
        selection = Selection(
            workspace,
            source,
            f"{day:%Y-%m-%d}" if day else None,
            frozenset(map(Disposition, dispositions)) or None,
        )
        return command(selection, **rest)

    decorated: Callable[..., Any] = selecting
    for option in reversed(OPTIONS):
        decorated = option(decorated)
    return decorated
