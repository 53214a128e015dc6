"""`strongroom verify`: proves the ledger and the archive from the bucket alone."""

import click
import msgspec

from workers import opening
from workers.cli import output, running
from workers.ledger.verify import Report, Verifier
from workers.settings import Settings


@click.command()
@output.json_option
def verify(as_json: bool) -> int:
    """Prove from the bucket alone that nothing is missing or changed.

    Needs neither Kafka nor keys. Exit code 1 if anything was found.
    """
    report = running.run(_verify(Settings.load()))
    if as_json:
        output.print_json({"clean": report.clean, **msgspec.to_builtins(report)})
    else:
        output.record(summary(report))
        if report.findings:
            output.table(
                ["finding", "where", "detail"],
                [(finding.kind, finding.where, finding.detail) for finding in report.findings],
            )
    return 0 if report.clean else 1


async def _verify(settings: Settings) -> Report:
    async with opening.open_ledger(settings) as ledger, opening.open_data(settings) as data:
        with output.progress("entries", None) as advance:
            verifier = Verifier(ledger, data, running.patient(), progress=lambda report: advance(1))
            return await verifier.run()


def summary(report: Report) -> dict[str, object]:
    return {
        "verdict": "clean" if report.clean else f"{len(report.findings)} findings",
        "chains": report.chains,
        "entries": report.entries,
        "offsets": report.offsets,
        **{f"records {disposition}": count for disposition, count in sorted(report.records.items())},
        "objects": report.objects,
        "plain bytes": report.plain_bytes,
        "stored bytes": report.stored_bytes,
        "orphans": report.orphans,
    }
