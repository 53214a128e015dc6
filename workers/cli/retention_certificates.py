"""`strongroom retention certificates`: the proof of what has gone."""

from typing import NamedTuple

import click

from topics.times import iso_ms
from workers import opening
from workers.cli import output, running
from workers.retention import certificate, closing_certificate, names
from workers.retention.certificate import Certificate
from workers.retention.closing_certificate import ClosingCertificate
from workers.settings import Settings

CERTIFIED = (
    "workspace",
    "kind",
    "source",
    "day",
    "clock",
    "seq",
    "reason",
    "objects",
    "records",
    "bytes",
    "verified",
)


class Issued(NamedTuple):
    """`closings`: of workspaces that are closed and gone; what they sum up is among the others."""

    disposals: list[Certificate]
    closings: list[ClosingCertificate]


@click.command()
@click.option("--workspace", help="Only this one's.")
@click.option("--full", is_flag=True, help="Print the certificates themselves, one JSON text a line.")
@output.json_option
def certificates(workspace: str | None, full: bool, as_json: bool) -> None:
    """List the certificates of what was disposed of, and then those of closed workspaces."""
    found = running.run(_certificates(Settings.load(), workspace))
    if full:
        for each in found.disposals:
            click.echo(certificate.encode(each))
        for closing in found.closings:
            click.echo(closing_certificate.encode(closing))
        return
    rows = [*map(_disposal, found.disposals), *map(_closing, found.closings)]
    output.table(CERTIFIED, rows, as_json=as_json, title="Certificates")


COMMANDS = (certificates,)


def _disposal(each: Certificate) -> tuple[object, ...]:
    unit = (each.source, each.day, each.clock, each.seq)
    sums = (each.disposed.objects, each.disposed.records, each.disposed.stored_bytes)
    return (each.workspace, each.kind, *unit, each.reason, *sums, iso_ms(each.verified_at))


def _closing(each: ClosingCertificate) -> tuple[object, ...]:
    sums = (each.disposed.objects, each.disposed.records, each.disposed.stored_bytes)
    return (each.workspace, each.kind, "", "", "", None, each.reason, *sums, iso_ms(each.verified_at))


async def _certificates(settings: Settings, workspace: str | None) -> Issued:
    prefix = names.CERTIFICATES if workspace is None else names.certificates_of_workspace(workspace)
    retry = running.patient()
    async with opening.open_ledger(settings) as ledger:
        disposals = [each async for each in certificate.read_all(ledger, retry, prefix)]
        closed = [each async for each in closing_certificate.issued(ledger, retry, prefix)]
        closings = [await closing_certificate.read(ledger, each, retry) for each in closed]
    return Issued(disposals, [each for each in closings if each is not None])
