"""`strongroom read`: archived records as NDJSON on stdout, decrypted, through the ledger."""

import sys
from collections.abc import Iterator, Sequence

import click

from workers import opening
from workers.cli import running
from workers.cli.selecting import selection_options
from workers.errors import Poison
from workers.intake.dispositions import Disposition
from workers.intake.envelope import Unreadable, event_bytes
from workers.ledger.entries import StoredObject
from workers.ledger.read import read as read_objects
from workers.ledger.shown import Selection
from workers.settings import Settings


@click.command()
@selection_options
@click.option(
    "--unwrap", is_flag=True, help="Print the events as the SDKs sent them, without their envelopes."
)
def read(selection: Selection, unwrap: bool) -> None:
    """Print archived records, decrypted, through the ledger."""
    running.run(_read(Settings.load(), selection, unwrap))


async def _read(settings: Settings, selection: Selection, unwrap: bool) -> None:
    out = sys.stdout.buffer
    async with (
        opening.open_ledger(settings) as ledger,
        opening.open_data(settings) as data,
        opening.open_keystore(settings) as keys,
    ):
        async for stored, lines in read_objects(ledger, data, keys, selection, running.patient()):
            out.writelines(line + b"\n" for line in printed(stored, lines, unwrap=unwrap))
    out.flush()


def printed(stored: StoredObject, lines: Sequence[bytes], *, unwrap: bool) -> Iterator[bytes]:
    """The lines of an object, or their events byte for byte. Raises Poison for a line that holds none."""
    if not unwrap or stored.disposition is Disposition.DEAD_LETTERED:  # which has no envelope to take off
        yield from lines
        return
    for number, line in enumerate(lines, 1):
        try:
            yield event_bytes(line)
        except Unreadable as refusal:
            raise Poison(
                f"line {number} of {stored.key} holds no event ({refusal.reason})",
                remedy="Read without --unwrap to see it",
            ) from None
