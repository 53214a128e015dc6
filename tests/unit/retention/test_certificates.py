"""`verify` reads certificates: a missing one, one of no disposal, and one that lies are found."""

from typing import Any

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import DAY, unit, workspace
from tests.unit.retention.world import World, group
from workers.ledger.verify_report import Kind, Report
from workers.retention import certificate, certificate_audit, names
from workers.retention.certificate import Certificate

UNIT = unit(40)


async def world() -> tuple[World, Certificate]:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(UNIT): [b"{}"] * 3})
    await found.dispose(UNIT)
    (issued,) = await found.certificates(UNIT)
    return found, issued


async def audited(found: World) -> dict[str, int]:
    report = Report()
    await certificate_audit.audit(found.ledger, retry(), report, found.now)
    return report.kinds


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


@pytest.mark.parametrize(
    "changes",
    [
        {"entry": "units/elsewhere"},
        {"entry_sha256": "0" * 64},
        {"words": "a legal hold keeps it"},
        {"policy": {"workspaces": (1, 1)}},
        {"disposed_at": 1},
        {"disposed": certificate.Disposed(1, 2, 3, "")},
        {"disposed": certificate.Disposed(2, 3, 3, "")},
    ],
)
async def test_a_certificate_that_says_else_than_its_entry_is_found(
    changes: dict[str, Any],
) -> None:
    found, issued = await world()
    lying = msgspec.structs.replace(issued, **changes)
    await found.ledger.put(names.certificate(UNIT, 1), certificate.encode(lying))
    assert await audited(found) == {Kind.WRONG_CERTIFICATE: 1}


async def test_garbage_is_found() -> None:
    found, issued = await world()
    await found.ledger.put(issued.name, b"garbage")
    assert await audited(found) == {Kind.WRONG_CERTIFICATE: 1}
