"""Makes the tables of docs/ that must say what the code says: `python -m workers.docs` writes them.

A test compares the committed files with what this makes.
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import click
from pydantic.fields import FieldInfo

from workers.__main__ import COMMANDS, strongroom
from workers.ledger.verify_report import MEANINGS, NOTES
from workers.observe.metrics import DECLARED
from workers.settings import Settings, unit
from workers.settings_checks import variable

DOCS = Path(__file__).parent.parent / "docs"
MADE = "<!-- made by `python -m workers.docs`: change the code, not this file -->"


def settings() -> str:
    """docs/settings.md."""
    rows = [
        (f"`{variable(name)}`", _default(info), unit(info), info.description or "")
        for name, info in Settings.model_fields.items()
    ]
    return _page(
        "Settings",
        "Environment variables, read at the start and checked: what is wrong is said, all at once, and "
        "nothing runs. An unknown `STRONGROOM_` variable is refused too. An empty one counts as not set. "
        "`strongroom config` prints what is in force and where it came from. AWS credentials come the usual "
        "AWS way.",
        ["Variable", "Default", "Unit", "Meaning"],
        rows,
    )


def metrics() -> str:
    """docs/metrics.md."""
    rows = [
        (f"`{each.name}`", each.kind, each.unit, "<br>".join(_labels(each.labels.items())), each.meaning)
        for each in DECLARED
    ]
    return _page(
        "Metrics",
        "At `/metrics` of each worker, in Prometheus' text format, updated once a batch. No label holds a "
        "write key or a customer's id. `process_*` has the usual facts of the process: CPU, memory, files.",
        ["Metric", "Type", "Unit", "Labels", "Meaning"],
        rows,
    )


def commands() -> str:
    """docs/commands.md."""
    rows = [row for name in COMMANDS for row in _command(name, _find(name))]
    return _page(
        "Commands",
        "`strongroom COMMAND --help` has the options. Exit codes: 0 well, 1 a finding, 2 usage, 3 a "
        "dependency is down, 130 interrupted. Every command that reads has `--json`, or prints JSON anyway; "
        "tables are tab-separated lines with a header when they don't go to a terminal.",
        ["Command", "What it does"],
        rows,
    )


def findings() -> str:
    """docs/verify.md."""
    rows = [(f"`{kind}`", "finding", meaning) for kind, meaning in MEANINGS.items()]
    rows += [(f"`{kind}`", "note", meaning) for kind, meaning in NOTES.items()]
    return _page(
        "What verify finds",
        "`strongroom verify` proves the archive from the buckets alone: no Kafka, no writer's word. It reads "
        "every entry, every policy change, and every object; `--deep` opens the objects too, recounts their "
        "records, and holds the write key of each against the policy chains. Checking goes on behind a "
        "finding. A finding makes the exit code 1; a note is worth knowing and no fault: what an operator "
        "acknowledged ([architecture.md](architecture.md), Losses) becomes one. With public keys in "
        "STRONGROOM_CHECKPOINT_TRUST_FILE, the newest checkpoint of each chain "
        "([operations.md](operations.md), Checkpoints) is held against it: one from a bucket or file that is "
        "out of a forger's reach proves that nothing up to it was cut off or written anew. What came later "
        "can be cut unseen from a bucket that keeps no versions. `--from-checkpoint` reads each chain from "
        "there on: neither the entries before nor their objects are looked at, and the report says of how "
        "many a signature vouches. Why it is so: [ADR 015](decisions/015-what-an-auditor-needs.md), "
        "[026](decisions/026-checkpoints.md).",
        ["Kind", "", "Meaning"],
        rows,
    )


PAGES = {
    "settings.md": settings,
    "metrics.md": metrics,
    "commands.md": commands,
    "verify.md": findings,
}


def main() -> None:
    for name, make in PAGES.items():
        (DOCS / name).write_text(make())


def _page(title: str, words: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return f"{MADE}\n# {title}\n\n{words}\n\n{table}\n"


def _default(info: FieldInfo) -> str:
    if info.default_factory is not None:
        extra: dict[str, Any] = info.json_schema_extra  # type: ignore[assignment] # settings.same_as sets it
        return f"that of `{variable(extra['same_as'])}`"
    value = info.default
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value != "" else "empty"


def _labels(labels: Any) -> Iterator[str]:
    for label, values in labels:
        yield f"`{label}`: {', '.join(values)}"


def _find(name: str) -> click.Command:
    command = strongroom.get_command(click.Context(strongroom), name)
    assert command is not None, name  # noqa: S101 - it stands in COMMANDS
    return command


def _command(name: str, command: click.Command) -> Iterator[tuple[str, str]]:
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield _row(name, command)
        for inner, each in sorted(command.commands.items()):
            yield from _command(f"{name} {inner}", each)
        return
    yield _row(name, command)


def _row(name: str, command: click.Command) -> tuple[str, str]:
    arguments = [
        part.make_metavar(click.Context(command))
        for part in command.params
        if isinstance(part, click.Argument)
    ]
    return (
        f"`{' '.join(['strongroom', name, *arguments])}`",
        (command.help or "").split("\n\n")[0].replace("\n", " "),
    )


if __name__ == "__main__":
    main()
