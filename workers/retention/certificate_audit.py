"""Holds certificates against unit chains, ledger and buckets: a disposal has one, and none says too much."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from workers.errors import Fatal
from workers.intake.kept import DAY
from workers.ledger import unit_chain
from workers.ledger.chain import find
from workers.ledger.entries import StoredObject
from workers.ledger.unit_entries import Kind as EntryKind
from workers.ledger.unit_entries import UnitEntry
from workers.ledger.verify_listing import Listing
from workers.ledger.verify_report import Kind, NoteKind, Report
from workers.retention import certificate, certificate_claims, key_audit, names
from workers.retention.certificate import Certificate
from workers.retention.erase import folder_of
from workers.retention.index import UnitIndex
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.sealing.rows import unit_row
from workers.store.port import Store
from workers.store.retry import Retry

LATE = 7 * DAY  # ms behind its entry: an Object Lock is looked at by then, caches have long let go


@dataclass(frozen=True, slots=True)
class Against:
    """What certificates are held against. `buckets`: the data bucket, then its replicas.

    `rows` None: this auditor may not read the keystore. `index` None: what objects hold is not compared.
    """

    ledger: Store
    buckets: Sequence[Store]
    rows: Replicas | None
    index: UnitIndex | None
    retry: Retry


class Certified(NamedTuple):
    """A certificate that can be read, and the entry that disposes of what it certifies."""

    issued: Certificate
    entry: UnitEntry
    new: int  # objects that no earlier entry of the chain disposes of


async def audit(against: Against, report: Report, now: int) -> None:
    """Adds findings, and a note where there is no index. `now` in ms since the epoch. Memory: the disposals.

    Requests: one list a thousand entries of unit chains and certificates, one an entry of a unit chain, one a
    certificate, one list a folder of its objects and bucket, two a unit and bucket of keys; those of the
    index. A chain that is broken is found where it lies: then nothing is said of its certificates.
    """
    ledger, retry, index = against.ledger, against.retry, against.index
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
    if certified and index is None:
        why = "what certificates say of objects hangs on entries before the checkpoints: not compared"
        report.note(NoteKind.LEFT_OUT, names.CERTIFICATES, why)
    elif certified and index is not None and not await _is_ready(index, {unit for unit, _ in certified}):
        against = replace(against, index=None)
    seqs: dict[Unit, list[int]] = {}
    for unit, seq in sorted(certified):
        if unit not in broken:
            seqs.setdefault(unit, []).append(seq)
    for unit, each in seqs.items():
        found = await _readable(ledger, retry, report, unit, each, disposals.get(unit, {}))
        if found:
            await _of_unit(against, report, unit, found)
    for unit, entries in disposals.items():
        for seq, entry in entries.items():
            if (unit, seq) not in certified and entry.committed_at < now - LATE:
                report.found(Kind.UNCERTIFIED, entry.key, f"no {names.certificate(unit, seq)}")


async def _is_ready(index: UnitIndex, units: set[Unit]) -> bool:
    """False where the ledger is broken, which is found where it lies."""
    try:
        await index.advance()
    except Fatal:
        return False
    index.expects(units)
    return True


async def _readable(
    ledger: Store,
    retry: Retry,
    report: Report,
    unit: Unit,
    seqs: Sequence[int],
    disposals: Mapping[int, UnitEntry],
) -> list[Certified]:
    """Certificates of a unit that say of which disposal they are."""
    found = []
    for seq in seqs:
        where = names.certificate(unit, seq)
        got = await find(ledger, where, retry)
        if got is None:
            continue  # deleted since it was listed: the next audit says so
        try:
            issued = certificate.decode(got.body, where)
        except Fatal as error:
            report.found(Kind.WRONG_CERTIFICATE, where, error.message)
            continue
        if seq not in disposals:
            why = "no entry of its unit's chain disposes of what it certifies"
            report.found(Kind.WRONG_CERTIFICATE, where, why)
            continue
        before = {each.key for at, entry in disposals.items() if at < seq for each in entry.consumed}
        new = {each.key for each in disposals[seq].consumed} - before
        found.append(Certified(issued, disposals[seq], len(new)))
    return found


async def _of_unit(against: Against, report: Report, unit: Unit, found: Sequence[Certified]) -> None:
    retry = against.retry
    listed: dict[str, StoredObject] | None = None
    if against.index is not None:
        with suppress(Fatal):  # an entry that has gone since it was read is found where it lay
            listed = {stored.key: stored for stored in await against.index.objects(unit)}
    keys = {each.key for _, entry, _ in found for each in entry.consumed}
    there = {store.name: await _there(store, keys, retry) for store in against.buckets}
    of_key = [] if against.rows is None else await key_audit.left(against.rows, unit_row(unit), retry)
    for issued, entry, new in found:
        wrong = certificate_claims.of_entry(issued, entry)
        if listed is not None:
            wrong += await certificate_claims.of_objects(issued, entry, listed, against.ledger, retry)
        wrong += certificate_claims.of_buckets(issued, new, against.buckets[0].name)
        if issued.key != unit_row(unit):
            wrong.append(f"key: {issued.key} is another's")
        wrong += of_key
        mine = {each.key for each in entry.consumed}
        for bucket, versions in there.items():
            left = sum(count for key, count in versions.items() if key in mine)
            if left:
                wrong.append(f"{bucket} has {left} versions of what it certifies")
        if wrong:
            report.found(Kind.WRONG_CERTIFICATE, issued.name, "; ".join(wrong))


async def _there(store: Store, keys: set[str], retry: Retry) -> dict[str, int]:
    """Those of the keys that have versions, delete markers not counted."""
    found = {}
    for folder in sorted({folder_of(key) for key in keys}):
        async for each in Listing(store, folder, retry):
            if each.versions and each.key in keys:
                found[each.key] = each.versions
    return found
