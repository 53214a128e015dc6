"""What is there in the end, held against the test's own record, byte by byte."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TypeVar

import msgspec

from tests.integration.retention.archive import RETRY, Archive, Kept, lot_of
from tests.integration.retention.record import Case, Stage
from tests.stack.s3 import S3
from workers.ledger.unit_chain import head as chain_head
from workers.ledger.unit_entries import Became, Kind
from workers.ledger.verify import Verifier
from workers.retention import certificate, certificate_audit, index_audit, names
from workers.retention.index import UnitIndex
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.refusals import KeyDisabled, KeyShredded, Refused
from workers.sealing.rows import unit_row
from workers.store.port import NotFound, Store, Version

AT_ONCE = 8
T = TypeVar("T")


@dataclass
class Found:
    """What a run left, counted."""

    units: int = 0
    gone: int = 0
    kept: int = 0
    objects: int = 0  # of these, each equal in both buckets to what it was
    undecided: int = 0  # units of which the record lets both be right
    certificates: int = 0
    records: int = 0  # disposed of
    refused: int = 0  # attempts of the reader that kept everything
    cases: dict[str, tuple[int, int]] = field(default_factory=dict)  # units that went later, and that stayed
    wrong: list[str] = field(default_factory=list)


async def judged(archive: Archive, server: S3, audited: Counter[str]) -> Found:
    """Destroys what it needs no more: wrapped keys are put back in the end, to try to read by them."""
    record = archive.record
    found = Found(wrong=[*record.wrong, *record.missing()], cases={case: record.ends(case) for case in Case})
    buckets = archive.buckets
    certified = Counter(
        [place.unit async for place in certificate.issued(buckets.ledger, RETRY, names.CERTIFICATES)]
    )
    versions = [await _versions(store, "data/") for store in (buckets.data, buckets.replica)]
    rows = await _versions(buckets.keys, "keys/v1/ws=")
    keys, gone = archive.keystore(), []
    looks: list[Awaitable[None]] = []
    for unit, objects in sorted(archive.kept.items()):
        found.units += 1
        stages = {state.stage for state in record.states[lot_of(unit)]}
        there = [sum(len(held.get(kept.stored.key, ())) for kept in objects) for held in versions]
        is_gone = not any(there)
        found.undecided += len({stage is Stage.GONE for stage in stages}) > 1
        if (Stage.GONE not in stages) if is_gone else stages == {Stage.GONE}:
            found.wrong.append(f"{'/'.join(unit)} is {'gone' if is_gone else 'there'}: {sorted(stages)}")
        if is_gone:
            gone.append(unit)
            looks.append(_look_gone(archive, server, unit, objects, certified[unit], rows, keys, found))
        else:
            if stages <= {Stage.KEPT, Stage.DISABLED} and there != [
                sum(kept.versions[number] for kept in objects) for number in range(2)
            ]:
                found.wrong.append(f"{'/'.join(unit)} has {there} versions")
            looks.append(_look_kept(archive, unit, objects, certified[unit], stages, keys, found))
    await _all(looks)
    found.certificates = certified.total()
    if strangers := certified.keys() - archive.kept.keys():
        found.wrong.append(f"certificates of units that there never were: {strangers}")
    issued = {each.name async for each in certificate.read_all(buckets.ledger, RETRY, names.CERTIFICATES)}
    if set(audited) != issued:
        found.wrong.append(f"the audit topic differs in {sorted(set(audited) ^ issued)[:5]}")
    report = await Verifier(buckets.ledger, buckets.data, RETRY).run()
    await index_audit.audit(buckets.ledger, RETRY, report)
    index = UnitIndex(buckets.ledger, RETRY, lambda: archive.now)
    against = certificate_audit.Against(
        buckets.ledger, [buckets.data, buckets.replica], keys.replicas, index, RETRY
    )
    await certificate_audit.audit(against, report, archive.now)
    found.wrong += [str(finding) for finding in report.findings]
    counted = (report.became.get(Became.DISPOSED, 0), report.gone, report.objects)
    if counted != (
        there_were := (found.records, sum(len(archive.kept[each]) for each in gone), found.objects)
    ):
        found.wrong.append(f"verify counts {counted} records and objects disposed of, and kept: {there_were}")
    await _put_back(archive, gone, found)
    return found


async def _look_gone(
    archive: Archive,
    server: S3,
    unit: Unit,
    objects: list[Kept],
    certificates: int,
    rows: dict[str, list[Version]],
    keys: Keystore,
    found: Found,
) -> None:
    found.gone += 1
    name = "/".join(unit)
    await _refused(keys, unit, objects, found)
    wrapped = msgspec.json.decode(archive.rows[unit])["wrapped"].encode()
    bucket = archive.buckets.keys.name.removeprefix("s3://")
    for version in rows.get(unit_row(unit), ()):
        if version.delete_marker:
            continue
        body = await asyncio.to_thread(_old, server, bucket, version)
        if wrapped in body or msgspec.json.decode(body)["state"] != "tombstone":
            found.wrong.append(f"{name}: version {version.version_id} of its row holds the key")
    entries = (await chain_head(archive.buckets.ledger, unit, RETRY)).entries
    disposals = [entry for entry in entries if entry.kind is Kind.DISPOSE]
    records = sum(each.count for entry in disposals for each in entry.consumed)
    found.records += records
    if len(disposals) != certificates or certificates != 1:
        found.wrong.append(f"{name}: {len(disposals)} disposals, {certificates} certificates")
    if records != sum(kept.stored.records for kept in objects):
        found.wrong.append(f"{name}: {records} records disposed of")


async def _look_kept(
    archive: Archive,
    unit: Unit,
    objects: list[Kept],
    certificates: int,
    stages: set[Stage],
    keys: Keystore,
    found: Found,
) -> None:
    found.kept += 1
    name = "/".join(unit)
    if certificates:
        found.wrong.append(f"{name} is there, and certified to be gone")
    for kept in objects:
        found.objects += 1
        for store in (archive.buckets.data, archive.buckets.replica):
            try:
                got = await store.get(kept.stored.key)
            except NotFound:
                found.wrong.append(f"{store.name}/{kept.stored.key} has versions, and can't be read")
                continue
            if sha256(got.body).hexdigest() != kept.sha256 or dict(got.metadata) != kept.metadata:
                found.wrong.append(f"{store.name}/{kept.stored.key} was changed")
        try:
            (await keys.unit_key(unit, create=False)).open(kept.body, kept.metadata, kept.stored.key)
            if Stage.KEPT not in stages:
                found.wrong.append(f"{name} can be read: {sorted(stages)}")
        except KeyDisabled:
            if Stage.DISABLED not in stages:
                found.wrong.append(f"{name} is disabled: {sorted(stages)}")
        except Refused as refused:
            if not stages & {Stage.DESTROYED}:
                found.wrong.append(f"{name} can't be read: {refused}")


async def _put_back(archive: Archive, gone: list[Unit], found: Found) -> None:
    """The reader that kept the wrapped keys puts them where they were, and reads with a fresh keystore."""

    async def put(unit: Unit) -> None:
        await archive.buckets.keys.put(unit_row(unit), archive.rows[unit])

    await _all(put(unit) for unit in gone)
    keys = archive.keystore()
    await _all(_refused(keys, unit, archive.kept[unit], found) for unit in gone)


async def _refused(keys: Keystore, unit: Unit, objects: list[Kept], found: Found) -> None:
    for kept in objects:
        try:
            (await keys.unit_key(unit, create=False)).open(kept.body, kept.metadata, kept.stored.key)
            found.wrong.append(f"{'/'.join(unit)} can still be read by who has kept it")
        except KeyShredded:
            found.refused += 1


async def _versions(store: Store, prefix: str) -> dict[str, list[Version]]:
    """Versions and delete markers, by key."""
    found: dict[str, list[Version]] = {}
    async for version in store.versions(prefix):
        found.setdefault(version.key, []).append(version)
    return found


def _old(server: S3, bucket: str, version: Version) -> bytes:
    got = server.client.get_object(Bucket=bucket, Key=version.key, VersionId=version.version_id)
    return bytes(got["Body"].read())


async def _all(looks: Iterable[Awaitable[None]]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(look: Awaitable[None]) -> None:
        async with slots:
            await look

    await asyncio.gather(*(one(look) for look in looks))
