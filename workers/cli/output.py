"""How commands speak: tables on a terminal, tab-separated lines otherwise, JSON where asked for."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """`--json`, as the argument `as_json`. On every command that reads."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool = False, title: str = ""
) -> None:
    """Many things, one a row. JSON: a list of objects, named by the columns; plain: a header line first."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif sys.stdout.isatty():
        shown = Table(title=title or None, title_justify="left")
        for column in columns:
            shown.add_column(column, overflow="fold")  # never cut: what is shown is there to be copied
        for row in rows:
            shown.add_row(*(Text(visible(cell), justify=_side(cell)) for cell in row))
        Console().print(shown)
    else:
        click.echo("\t".join(columns))
        for row in rows:
            click.echo("\t".join(visible(cell) for cell in row))


def record(fields: Mapping[str, object], *, as_json: bool = False) -> None:
    """One thing. JSON: an object; plain: a line a field."""
    if as_json:
        print_json(fields)
    elif sys.stdout.isatty():
        shown = Table(show_header=False, box=None, pad_edge=False)
        shown.add_column()
        shown.add_column(overflow="fold")
        for name, value in fields.items():
            shown.add_row(Text(name, style="bold"), Text(visible(value)))
        Console().print(shown)
    else:
        for name, value in fields.items():
            click.echo(f"{name}\t{visible(value)}")


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def say(line: str) -> None:
    """A line for the person, on stderr: stdout is for results."""
    click.echo(line, err=True)


def visible(value: object) -> str:
    """As one line without control characters: what customers sent must not steer a terminal."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(visible(part) for part in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=True, default=str)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))


def _side(cell: object) -> Any:  # Any: rich's literal of five words
    return "right" if isinstance(cell, int | float) and not isinstance(cell, bool) else "left"


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, if that is a terminal; yields what to call with an advance. `total` None: unknown."""
    if not sys.stderr.isatty():
        yield lambda advance: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # rich would send a pipe's lines to the terminal
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda advance: bar.advance(task, advance)
