"""What a demo prints at its end, and what it holds against the worker."""

from dataclasses import dataclass

import click

from workers.cli import output
from workers.embedded.outcome import Outcome, differences
from workers.embedded.plan import Counts
from workers.errors import StrongroomError
from workers.event_files import Tally
from workers.ledger.entries import StoredObject
from workers.ledger.verify_report import Report

SHOWN = 300  # characters of the sample line


class Finding(StrongroomError):
    """Something is not as it must be."""


@dataclass(frozen=True, slots=True)
class Seen:
    outcome: Outcome
    report: Report
    tally: Tally
    expected: Counts | None
    seconds: float  # from the first record sent to the last one archived
    line: bytes  # a record, read back and decrypted


def show(seen: Seen) -> list[str]:
    """Prints tables, facts and a sample line; returns what is wrong."""
    findings = _findings(seen)
    outcome, report = seen.outcome, seen.report
    click.echo()
    output.table(
        ["workspace", "became", "records", "objects", "bytes", "sealed bytes"],
        _stored(outcome),
        title="Sealed in S3",
    )
    click.echo()
    output.table(
        ["became", "because", "records"],
        [
            (disposition, reason, count)
            for disposition, reasons in sorted(outcome.reasons.items())
            for reason, count in sorted(reasons.items())
        ],
        title="What became of every record",
    )
    click.echo()
    output.record(
        {
            "records": f"{seen.tally.records}, {seen.tally.records / seen.seconds:.0f} a second",
            "bytes": f"{report.plain_bytes} in, {report.stored_bytes} sealed",
            "objects": report.objects,
            "ledger entries": report.entries,
            "verify": "clean" if report.clean else f"{len(report.findings)} findings",
            **({} if seen.expected is None else {"as planned": not findings}),
            "a record, read back": seen.line[:SHOWN].decode(errors="replace") + "…",
        }
    )
    return findings


def _stored(outcome: Outcome) -> list[tuple[object, ...]]:
    """A row a workspace and disposition, and one of all."""
    rows: list[tuple[object, ...]] = []
    for workspace, objects in sorted(outcome.stored.items()):
        for disposition in sorted({each.disposition for each in objects}):
            rows.append(
                _row(workspace, disposition, [each for each in objects if each.disposition == disposition])
            )
    return [*rows, _row("all", "", [each for objects in outcome.stored.values() for each in objects])]


def _row(workspace: str, disposition: str, objects: list[StoredObject]) -> tuple[object, ...]:
    return (
        workspace,
        disposition,
        sum(each.records for each in objects),
        len(objects),
        sum(each.plain_bytes for each in objects),
        sum(each.stored_bytes for each in objects),
    )


def _findings(seen: Seen) -> list[str]:
    findings = [
        f"verify: {finding.kind} {finding.where}: {finding.detail}" for finding in seen.report.findings
    ]
    if seen.outcome.total != seen.tally.records:
        findings.append(f"{seen.tally.records} records were sent, the ledger has {seen.outcome.total}")
    if seen.expected is not None:
        findings += differences(seen.outcome, seen.expected)
    return findings
