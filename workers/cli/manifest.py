"""`strongroom manifest`: a workspace's objects as JSON lines, for readers with Amazon's clients."""

import sys

import click
import msgspec

from workers import opening
from workers.cli import running
from workers.cli.selecting import selection_options
from workers.ledger.manifest import manifest as listed
from workers.ledger.shown import Selection
from workers.settings import Settings


@click.command()
@selection_options
def manifest(selection: Selection) -> None:
    """List archived objects as JSON lines, each with the encryption context that opens it.

    From the ledger alone: it needs neither keys nor Kafka, and what no entry lists is not shown. Objects
    whose key was shredded are listed too; nobody opens them.
    """
    running.run(_print(Settings.load(), selection))


async def _print(settings: Settings, selection: Selection) -> None:
    encoder, out = msgspec.json.Encoder(), sys.stdout.buffer
    async with opening.open_ledger(settings) as ledger:
        async for line in listed(ledger, selection, running.patient()):
            out.write(encoder.encode(line) + b"\n")
    out.flush()
