"""`verify` reads certificates: a missing one, one of no disposal, and one that lies are found."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.unit.ledger.units import draft, output
from tests.unit.ledger.world import retry
from tests.unit.retention.making import DAY, unit, workspace
from tests.unit.retention.world import World, group
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.unit_chain import append, head
from workers.ledger.unit_entries import Became
from workers.ledger.unit_entries import Kind as EntryKind
from workers.ledger.verify_report import Kind, Report
from workers.retention import certificate, certificate_audit
from workers.retention.certificate import Certificate
from workers.retention.certificate_audit import Against
from workers.retention.index import UnitIndex
from workers.sealing.replicas import Replicas
from workers.sealing.rows import unit_row

UNIT = unit(40)


async def world() -> tuple[World, Certificate]:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT): [b"{}"] * 3})
    await found.dispose(UNIT)
    (issued,) = await found.certificates(UNIT)
    return found, issued


async def audited(found: World) -> dict[str, int]:
    return (await reported(found)).kinds


async def reported(found: World, *, indexed: bool = True, keys: bool = True) -> Report:
    report = Report()
    index = UnitIndex(found.ledger, retry(), lambda: found.now) if indexed else None
    rows = Replicas([found.keys], requests=8) if keys else None
    against = Against(found.ledger, [found.data, found.replica], rows, index, retry())
    await certificate_audit.audit(against, report, found.now)
    return report


async def test_what_was_disposed_of_and_certified_is_clean() -> None:
    found, _ = await world()
    found.now += 100 * DAY
    assert await audited(found) == {}


async def test_a_disposal_that_stays_without_a_certificate_is_found() -> None:
    found, issued = await world()
    await found.ledger.delete([issued.name])
    assert await audited(found) == {}  # it may be under way
    found.now += 8 * DAY
    assert await audited(found) == {Kind.UNCERTIFIED: 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"seq": 2},
        {"workspace": "zoo"},
        {"day": "2026-01-01"},
    ],
)
async def test_a_certificate_of_what_nothing_disposed_of_is_found(changes: dict[str, Any]) -> None:
    found, issued = await world()
    forged = msgspec.structs.replace(issued, **changes)
    assert await certificate.issue(found.ledger, forged, retry())
    assert await audited(found) == {Kind.WRONG_CERTIFICATE: 1}


def disposed(issued: Certificate, **changes: Any) -> Certificate:
    return msgspec.structs.replace(issued, disposed=msgspec.structs.replace(issued.disposed, **changes))


def emptied(issued: Certificate, **changes: Any) -> Certificate:
    """Another word on the second bucket."""
    data, replica = issued.buckets
    return msgspec.structs.replace(issued, buckets=(data, msgspec.structs.replace(replica, **changes)))


def changed(**changes: Any) -> Callable[[Certificate], Certificate]:
    return lambda issued: msgspec.structs.replace(issued, **changes)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (changed(entry="units/elsewhere"), "entry: not as in units"),
        (changed(entry_sha256="0" * 64), "entry_sha256: not as in units"),
        (changed(words="a legal hold keeps it"), "reason: not as in units"),
        (changed(policy={"workspaces": (1, 1)}), "policy: not as in units"),
        (changed(disposed_at=1), "disposed_at: not as in units"),
        (lambda issued: disposed(issued, objects=2), "objects: not as in units"),
        (lambda issued: disposed(issued, records=2), "records: not as in units"),
        (lambda issued: disposed(issued, stored_bytes=1), "stored_bytes: not as in the entries"),
        (lambda issued: disposed(issued, sha256="0" * 64), "sha256: not as in the entries"),
        (changed(key="keys/v1/ws=zoo/l1.json"), "key: keys/v1/ws=zoo/l1.json is another's"),
        (changed(buckets=()), "it does not say that data was emptied"),
        (lambda issued: emptied(issued, bucket="data"), "it counts a bucket twice"),
        (lambda issued: emptied(issued, versions=0), "replica: it accounts for fewer than 1 objects"),
        (lambda issued: emptied(issued, versions=2, absent=-1), "replica: a count below 0"),
    ],
)
async def test_a_certificate_that_says_else_than_entries_and_buckets_is_found(
    lie: Callable[[Certificate], Certificate], words: str
) -> None:
    found, issued = await world()
    await found.ledger.put(issued.name, certificate.encode(lie(issued)))
    report = await reported(found)
    assert report.kinds == {Kind.WRONG_CERTIFICATE: 1}
    assert words in report.findings[0].detail
    assert ";" not in report.findings[0].detail  # each check alone finds its lie


@pytest.mark.parametrize("bucket", ["data", "replica"])
async def test_what_is_certified_and_still_there_is_found(bucket: str) -> None:
    found, _ = await world()
    store = {"data": found.data, "replica": found.replica}[bucket]
    (stored,) = found.objects(UNIT)
    await store.put(stored.key, b"it came back")
    await store.put(stored.key + "-not-certified", b"another's")
    report = await reported(found)
    assert report.kinds == {Kind.WRONG_CERTIFICATE: 1}
    assert f"{bucket} has 1 versions of what it certifies" in report.findings[0].detail


@pytest.mark.parametrize(
    ("current", "words"), [(True, "is no tombstone"), (False, "keys has 1 older versions of keys/v1/")]
)
async def test_a_key_that_was_brought_back_is_found(current: bool, words: str) -> None:
    """As a restored backup of the keystore does it, under the tombstone or in its place."""
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT): [b"{}"]})
    kept = await found.keys.get(unit_row(UNIT))
    await found.dispose(UNIT)
    gone = await found.keys.get(unit_row(UNIT))
    await found.keys.purge([version async for version in found.keys.versions(unit_row(UNIT))])
    for body in (kept.body,) if current else (kept.body, gone.body):
        await found.keys.put(unit_row(UNIT), body)
    report = await reported(found)
    assert report.kinds == {Kind.WRONG_CERTIFICATE: 1}
    assert words in report.findings[0].detail
    assert (await reported(found, keys=False)).clean  # by who may not read keys


async def test_one_of_before_objects_were_accounted_for_is_believed() -> None:
    found, issued = await world()
    old = msgspec.json.decode(certificate.encode(emptied(issued, versions=0)))
    for each in old["buckets"]:
        del each["absent"]
    await found.ledger.put(issued.name, msgspec.json.encode(old))
    assert await audited(found) == {}


async def test_without_the_entries_before_checkpoints_the_report_says_what_was_left_out() -> None:
    found, issued = await world()
    await found.ledger.put(issued.name, certificate.encode(disposed(issued, stored_bytes=1)))
    report = await reported(found, indexed=False)
    assert report.clean
    assert [(note.kind, note.where) for note in report.notes] == [("left_out", "certificates/v1/")]
    await found.ledger.put(issued.name, certificate.encode(disposed(issued, objects=2)))
    assert (await reported(found, indexed=False)).kinds == {Kind.WRONG_CERTIFICATE: 1}


async def test_sums_are_of_outputs_too() -> None:
    """Of a unit into which a release has moved records."""
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT): [b"{}"] * 2, group(UNIT, Disposition.QUARANTINED): [b"{}"] * 3})
    quarantine = UNIT._replace(clock=Clock.QUARANTINE)
    (held,) = found.objects(quarantine)
    moved = output(UNIT, quarantine, 1, "a" * 16, 3)
    release = draft(EntryKind.RELEASE, [(held.key, None, 3)], {Became.ACCEPTED: 3}, [moved])
    await append(found.ledger, await head(found.ledger, quarantine, retry()), release, retry())
    await found.dispose(UNIT)
    (issued,) = await found.certificates(UNIT)
    assert (issued.disposed.objects, issued.disposed.records) == (2, 5)
    assert await audited(found) == {}
    without = disposed(issued, stored_bytes=issued.disposed.stored_bytes - moved.stored_bytes)
    await found.ledger.put(issued.name, certificate.encode(without))
    assert await audited(found) == {Kind.WRONG_CERTIFICATE: 1}


async def test_garbage_is_found() -> None:
    found, issued = await world()
    await found.ledger.put(issued.name, b"garbage")
    assert await audited(found) == {Kind.WRONG_CERTIFICATE: 1}
