"""`strongroom ledger`: what the ledger says, entry by entry or at its heads, and what is lost."""

import click
import msgspec

from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.cli.acknowledge import acknowledge
from workers.ledger.entries import Entry
from workers.ledger.head import Head, read_head
from workers.ledger.standing import Standing, standings
from workers.ledger.walk import chains, walk
from workers.settings import Settings

FINDING = 1  # exit code


@click.group()
def ledger() -> None:
    """Show what the ledger says, and put losses on record."""


ledger.add_command(acknowledge)


@ledger.command()
@click.option("--partition", type=click.IntRange(min=0), help="Only this partition's entries.")
@output.json_option
def show(partition: int | None, as_json: bool) -> None:
    """List the entries: which offsets, what became of them, in which objects."""
    entries = running.run(_entries(Settings.load(), partition))
    if as_json:
        output.print_json([msgspec.to_builtins(entry) for entry in entries])
        return
    output.table(
        ["topic", "partition", "first", "next", "records", "gaps", "objects", "committed"],
        [
            (
                entry.topic,
                entry.partition,
                entry.first,
                entry.next,
                ", ".join(
                    f"{sum(reasons.values())} {kind}" for kind, reasons in sorted(entry.counts.items())
                ),
                entry.gaps,
                len(entry.objects),
                iso_ms(entry.committed_at),
            )
            for entry in entries
        ],
        title="Ledger entries",
    )


@ledger.command()
@output.json_option
def head(as_json: bool) -> None:
    """Show where each open chain ends: the offset that is archived next."""
    heads = running.run(_heads(Settings.load()))
    output.table(
        ["topic", "topic_id", "incarnation", "partition", "next", "digest"],
        [(*found.chain[:3], found.chain.partition, found.next, found.digest) for found in heads],
        as_json=as_json,
        title="Heads",
    )


@ledger.command()
@output.json_option
def status(as_json: bool) -> int:
    """Show every chain: open, closed by which loss, or broken. From the bucket alone.

    `lost` and `repeats` are offsets; they are empty where nobody can know. Exit code 1 if a chain is broken,
    or several of one partition are open.
    """
    found = running.run(_standings(Settings.load()))
    output.table(
        [
            *("topic", "topic_id", "incarnation", "partition", "state", "next", "cause"),
            *("lost", "repeats", "by", "at", "why"),
        ],
        [_row(standing) for standing in found],
        as_json=as_json,
        title="Chains",
    )
    return FINDING if any(standing.halt for standing in found) else 0


def _row(standing: Standing) -> tuple[object, ...]:
    chain, closing = standing.chain, standing.closing
    place = (chain.topic, chain.topic_id, chain.incarnation, chain.partition, standing.state, standing.next)
    if closing is None:
        return (*place, standing.halt, None, None, None, None, standing.why)
    at = iso_ms(closing.committed_at)
    return (*place, closing.cause, closing.lost, closing.repeats, closing.actor, at, closing.reason)


async def _entries(settings: Settings, partition: int | None) -> list[Entry]:
    retry = running.patient()
    async with opening.open_ledger(settings) as store:
        return [
            entry
            async for chain in chains(store, retry)
            if partition in (None, chain.partition)
            async for entry in walk(store, chain, retry)
        ]


async def _heads(settings: Settings) -> list[Head]:
    retry = running.patient()
    async with opening.open_ledger(settings) as store:
        heads = [await read_head(store, chain, None, retry) async for chain in chains(store, retry)]
    return [head for head in heads if head is not None and head.closing is None]


async def _standings(settings: Settings) -> list[Standing]:
    async with opening.open_ledger(settings) as store:
        return await standings(store, running.patient())
