"""`strongroom ledger`: what the ledger says, entry by entry or at its heads."""

import click
import msgspec

from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.ledger.entries import Entry, broken
from workers.ledger.head import Head, read_head
from workers.ledger.walk import chains, walk
from workers.settings import Settings


@click.group()
def ledger() -> None:
    """Show what the ledger says."""


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
    """Show where each chain ends: the offset that is archived next."""
    heads = running.run(_heads(Settings.load()))
    output.table(
        ["topic", "topic_id", "incarnation", "partition", "next", "digest"],
        [(*found.chain[:3], found.chain.partition, found.next, found.digest) for found in heads],
        as_json=as_json,
        title="Heads",
    )


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
    heads = []
    async with opening.open_ledger(settings) as store:
        async for chain in chains(store, retry):
            found = await read_head(store, chain, None, retry)
            if found is None:
                raise broken(chain.genesis, "there are entries, but no genesis")
            heads.append(found)
    return heads
