"""`strongroom rejections`: whose records are being refused, why, and from which hosts."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import click

from topics.rejections import NAME, Rejection, codec
from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.cli.keys import Duration
from workers.errors import Poison
from workers.settings import Settings

FOLLOWED = 100_000  # rows to know a double by: ten workers' that all waited for Kafka; some 60 MB
COLUMNS = ("workspace", "source", "key", "reason", "host", "records", "per_minute", "first", "last")


class Subject(NamedTuple):
    workspace: str
    source: str
    key: str
    reason: str
    host: str


@dataclass
class Total:
    records: int = 0
    first_at: int = 2**63
    last_at: int = 0


@dataclass
class Told:
    """Rows as they come, each once: a worker that missed Kafka's answer tells a batch twice.

    Where it `remembers` a number of rows, a double that comes later than so many others is not seen as one.
    """

    workspace: str | None = None  # only this one's
    remembers: int | None = None
    unreadable: int = 0
    _seen: dict[tuple[str | int, ...], None] = field(default_factory=dict)  # the oldest first

    def take(self, values: Iterable[bytes]) -> list[Rejection]:
        """Takes records' values; returns those that count."""
        fresh = []
        for value in values:
            try:
                row = codec.decode(value)
            except Poison:
                self.unreadable += 1
                continue
            if self.workspace not in (None, row.workspace) or row.identity in self._seen:
                continue
            self._seen[row.identity] = None
            if self.remembers is not None and len(self._seen) > self.remembers:
                del self._seen[next(iter(self._seen))]
            fresh.append(row)
        return fresh


@dataclass
class Totals:
    """Sums over batches."""

    of: dict[Subject, Total] = field(default_factory=dict)

    def add(self, rows: Iterable[Rejection]) -> None:
        for row in rows:
            subject = Subject(row.workspace, row.source, row.write_key, row.reason, row.host)
            total = self.of.setdefault(subject, Total())
            total.records += row.records
            total.first_at = min(total.first_at, row.first_at)
            total.last_at = max(total.last_at, row.last_at)

    def rows(self, window_ms: int) -> list[tuple[object, ...]]:
        """Most records first; the rate is over the whole window."""
        ranked = sorted(self.of.items(), key=lambda each: (-each[1].records, each[0]))
        return [
            (*subject, total.records, _rate(total.records, window_ms), *_times(total.first_at, total.last_at))
            for subject, total in ranked
        ]


@click.command()
@click.option("--workspace", help="Only this workspace's; `_platform` has those of unknown keys.")
@click.option("--since", type=Duration(), default="1h", show_default=True, help="How far back to look.")
@click.option("--follow", is_flag=True, help="Go on with what comes, a line a batch and host, until Ctrl-C.")
@output.json_option
def rejections(workspace: str | None, since: int, follow: bool, as_json: bool) -> None:
    """Show what is being refused: whose, why, from which hosts, and how much of it.

    `host` is what the browser said (Origin, else Referer): empty where it said nothing, `*` for hosts beyond
    the ten with the most records of a batch. The ledger has the exact counts, and this topic may lack some:
    what a worker could not tell before it died.
    """
    running.run(_show(Settings.load(), workspace, max(1, since), follow, as_json))


async def _show(settings: Settings, workspace: str | None, since: int, follow: bool, as_json: bool) -> None:
    from workers.stream.recent import read_since  # noqa: PLC0415 - other commands start fast

    told, totals = Told(workspace, FOLLOWED if follow else None), Totals()
    began = time.time_ns() // 1_000_000 - since
    topic = settings.topic_prefix + NAME
    async for values in read_since(opening.kafka(settings), topic, began, follow=follow):
        rows = told.take(values)
        if not follow:
            totals.add(rows)
            continue
        for row in rows:
            _print(row, as_json)
    if not follow:
        output.table(COLUMNS, totals.rows(since), as_json=as_json, title="Refused")
    if told.unreadable:
        output.say(f"{told.unreadable} records of {topic} can't be read by this version")


def _print(row: Rejection, as_json: bool) -> None:
    window = max(1000, row.last_at - row.first_at)
    cells = (
        row.workspace,
        row.source,
        row.write_key,
        row.reason,
        row.host,
        row.records,
        _rate(row.records, window),
        *_times(row.first_at, row.last_at),
    )
    if as_json:
        click.echo(json.dumps(dict(zip(COLUMNS, cells, strict=True))))
    else:
        click.echo("\t".join(output.visible(cell) for cell in cells))


def _rate(records: int, window_ms: int) -> float:
    """Records a minute."""
    return round(records * 60_000 / window_ms, 1)


def _times(first: int, last: int) -> tuple[str, str]:
    return iso_ms(first), iso_ms(last)
