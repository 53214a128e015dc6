"""`strongroom read`: archived records as NDJSON on stdout, decrypted, through the ledger."""

import sys
from collections.abc import Iterator, Sequence

import click

from workers import opening
from workers.cli import running
from workers.errors import Poison
from workers.intake.dispositions import STORED, Disposition
from workers.intake.envelope import Unreadable, event_bytes
from workers.ledger.entries import StoredObject
from workers.ledger.read import Selection
from workers.ledger.read import read as read_objects
from workers.settings import Settings


@click.command()
@click.option(
    "--workspace", required=True, help="Whose records; `_platform` holds dead letters and unclaimed ones."
)
@click.option("--source", help="Only this source's.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="Only this day's (UTC, the broker's time).")
@click.option(
    "--disposition",
    "dispositions",
    multiple=True,
    type=click.Choice([disposition.value for disposition in sorted(STORED)]),
    help="Only what became this; may be given several times.",
)
@click.option(
    "--unwrap", is_flag=True, help="Print the events as the SDKs sent them, without their envelopes."
)
def read(
    workspace: str, source: str | None, day: object, dispositions: tuple[str, ...], unwrap: bool
) -> None:
    """Print archived records, decrypted, through the ledger."""
    selection = Selection(
        workspace,
        source,
        f"{day:%Y-%m-%d}" if day else None,
        frozenset(map(Disposition, dispositions)) or None,
    )
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
