"""Holds certificates against the unit chains: each disposal has one, and each says what its entry says."""

from collections.abc import Mapping

from workers.errors import Fatal
from workers.intake.kept import DAY
from workers.ledger import unit_chain
from workers.ledger.chain import find
from workers.ledger.entries import digest
from workers.ledger.unit_entries import Kind as EntryKind
from workers.ledger.unit_entries import UnitEntry, encode
from workers.ledger.verify_report import Kind, Report
from workers.retention import certificate, names
from workers.retention.certificate import Certificate
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

LATE = 7 * DAY  # ms behind its entry: an Object Lock is looked at by then, caches have long let go


async def audit(ledger: Store, retry: Retry, report: Report, now: int) -> None:
    """Adds findings. `now` in ms since the epoch. Memory: the disposals.

    Requests: one list a thousand entries of unit chains and certificates, one an entry of a unit chain, one a
    certificate. A chain that is broken is found where it lies: then nothing is said of its certificates.
    """
    # listed first: what is certified meanwhile has its entry, and what is disposed of meanwhile is not late
    certified = {place async for place in certificate.issued(ledger, retry)}
    disposals: dict[Unit, Mapping[int, UnitEntry]] = {}
    broken: set[Unit] = set()
    async for place in unit_chain.units_with_chains(ledger, retry):
        try:
            head = await unit_chain.head(ledger, place.unit, retry)
        except Fatal:
            broken.add(place.unit)
            continue
        disposals[place.unit] = {
            entry.seq: entry for entry in head.entries if entry.kind is EntryKind.DISPOSE
        }
    for unit, seq in sorted(certified):
        if unit not in broken:
            entry = disposals.get(unit, {}).get(seq)
            await _of_one(ledger, retry, report, names.certificate(unit, seq), entry)
    for unit, found in disposals.items():
        for seq, entry in found.items():
            if (unit, seq) not in certified and entry.committed_at < now - LATE:
                report.found(Kind.UNCERTIFIED, entry.key, f"no {names.certificate(unit, seq)}")


async def _of_one(ledger: Store, retry: Retry, report: Report, where: str, entry: UnitEntry | None) -> None:
    got = await find(ledger, where, retry)
    if got is None:
        return  # deleted since it was listed: the next audit says so
    try:
        issued = certificate.decode(got.body, where)
    except Fatal as error:
        report.found(Kind.WRONG_CERTIFICATE, where, error.message)
        return
    if entry is None:
        report.found(
            Kind.WRONG_CERTIFICATE, where, "no entry of its unit's chain disposes of what it certifies"
        )
    elif wrong := _differing(issued, entry):
        report.found(Kind.WRONG_CERTIFICATE, where, f"{', '.join(wrong)}: not as in {entry.key}")


def _differing(issued: Certificate, entry: UnitEntry) -> list[str]:
    said: dict[str, tuple[object, object]] = {
        "entry": (issued.entry, entry.key),
        "entry_sha256": (issued.entry_sha256, digest(encode(entry))),
        "reason": (f"{issued.reason}: {issued.words}", entry.reason),
        "policy": (issued.policy, entry.policy),
        "disposed_at": (issued.disposed_at, entry.committed_at),
        "objects": (issued.disposed.objects, len(entry.consumed)),
        "records": (issued.disposed.records, sum(each.count for each in entry.consumed)),
    }
    return [field for field, (one, other) in said.items() if one != other]
