"""Holds certificates against unit chains, ledger and buckets: a disposal has one, and none says too much."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

from workers.errors import Fatal
from workers.intake.kept import DAY
from workers.ledger import unit_chain
from workers.ledger.chain import find
from workers.ledger.entries import StoredObject
from workers.ledger.unit_entries import Kind as EntryKind
from workers.ledger.unit_entries import UnitEntry
from workers.ledger.verify_listing import Listing, in_order
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

AT_ONCE = 32  # units that are looked at
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


class Found(NamedTuple):
    kind: Kind
    where: str
    detail: str


class Certified(NamedTuple):
    """A certificate that can be read, and the entry that disposes of what it certifies."""

    issued: Certificate
    entry: UnitEntry
    new: int  # objects that no earlier entry of the chain disposes of


async def audit(against: Against, report: Report, now: int) -> None:
    """Adds findings, and a note where there is no index. `now` in ms since the epoch.

    Memory: the names of units, and the chains of AT_ONCE of them. Requests: one list a thousand entries of
    unit chains and certificates, one a unit, one an entry of its chain, one a certificate, one a folder of
    its objects and bucket, two a bucket of keys; those of the index. A chain that is broken is found where
    it lies: then nothing is said of its certificates.
    """
    ledger, retry = against.ledger, against.retry
    # listed first: what is certified meanwhile has its entry, and what is disposed of meanwhile is not late
    certified: dict[Unit, list[int]] = {}
    async for unit, seq in certificate.issued(ledger, retry):
        certified.setdefault(unit, []).append(seq)
    units = {place.unit async for place in unit_chain.units_with_chains(ledger, retry)} | certified.keys()
    if certified and against.index is None:
        why = "what certificates say of objects hangs on entries before the checkpoints: not compared"
        report.note(NoteKind.LEFT_OUT, names.CERTIFICATES, why)
    elif against.index is not None and not await _is_ready(against.index, certified.keys()):
        against = replace(against, index=None)

    async def by_day() -> AsyncIterator[Unit]:
        """As the index reads them: an entry lists objects of all units of its day."""
        for unit in sorted(units, key=lambda unit: (unit.day, unit)):
            yield unit

    async def of_unit(unit: Unit) -> list[Found]:
        return await _of_unit(against, unit, certified.get(unit, []), now)

    async with aclosing(in_order(by_day(), of_unit, ahead=AT_ONCE)) as all_found:
        async for found in all_found:
            for each in found:
                report.found(*each)


async def _is_ready(index: UnitIndex, units: Collection[Unit]) -> bool:
    """False where the ledger is broken, which is found where it lies."""
    if not units:
        return True
    try:
        await index.advance()
    except Fatal:
        return False
    index.expects(units)
    return True


async def _of_unit(against: Against, unit: Unit, seqs: Sequence[int], now: int) -> list[Found]:
    """`seqs`: of its certificates."""
    try:
        head = await unit_chain.head(against.ledger, unit, against.retry)
    except Fatal:
        return []
    disposals = {entry.seq: entry for entry in head.entries if entry.kind is EntryKind.DISPOSE}
    found: list[Found] = []
    readable = []
    for seq in seqs:
        each = await _read(against, names.certificate(unit, seq), seq, disposals)
        if isinstance(each, Certified):
            readable.append(each)
        elif each is not None:
            found.append(each)
    if readable:
        found += await _of_certificates(against, unit, readable)
    return found + [
        Found(Kind.UNCERTIFIED, entry.key, f"no {names.certificate(unit, seq)}")
        for seq, entry in disposals.items()
        if seq not in seqs and entry.committed_at < now - LATE
    ]


async def _read(
    against: Against, where: str, seq: int, disposals: Mapping[int, UnitEntry]
) -> Certified | Found | None:
    """None for one that was deleted since it was listed: the next audit says so."""
    got = await find(against.ledger, where, against.retry)
    if got is None:
        return None
    try:
        issued = certificate.decode(got.body, where)
    except Fatal as error:
        return Found(Kind.WRONG_CERTIFICATE, where, error.message)
    if seq not in disposals:
        why = "no entry of its unit's chain disposes of what it certifies"
        return Found(Kind.WRONG_CERTIFICATE, where, why)
    before = {each.key for at, entry in disposals.items() if at < seq for each in entry.consumed}
    new = {each.key for each in disposals[seq].consumed} - before
    return Certified(issued, disposals[seq], len(new))


async def _of_certificates(against: Against, unit: Unit, certified: Sequence[Certified]) -> list[Found]:
    retry, found = against.retry, []
    listed: dict[str, StoredObject] | None = None
    if against.index is not None:
        with suppress(Fatal):  # an entry that has gone since it was read is found where it lay
            listed = {stored.key: stored for stored in await against.index.objects(unit)}
    keys = {each.key for _, entry, _ in certified for each in entry.consumed}
    there = {store.name: await _there(store, keys, retry) for store in against.buckets}
    of_key = [] if against.rows is None else await key_audit.left(against.rows, unit_row(unit), retry)
    for issued, entry, new in certified:
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
            found.append(Found(Kind.WRONG_CERTIFICATE, issued.name, "; ".join(wrong)))
    return found


async def _there(store: Store, keys: set[str], retry: Retry) -> dict[str, int]:
    """Those of the keys that have versions, delete markers not counted."""
    found = {}
    for folder in sorted({folder_of(key) for key in keys}):
        async for each in Listing(store, folder, retry):
            if each.versions and each.key in keys:
                found[each.key] = each.versions
    return found
