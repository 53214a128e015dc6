"""An auditor with nothing but the bucket finds each planted fault, and names it; a clean one has none."""

import pytest

from tests.unit.ledger import planted_entries, planted_objects, planted_policy  # noqa: F401 - they fill the tables
from tests.unit.ledger.audited import ENTRIES, OFFSETS, archived
from tests.unit.ledger.planting import DEEP, SHALLOW, VERSIONED
from workers.ledger.verify_report import Report
from workers.store.memory import MemoryStore


def kinds(report: Report) -> set[str]:
    return {finding.kind for finding in report.findings}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("versioned", [False, True])
async def test_a_clean_archive_gives_no_finding(*, deep: bool, versioned: bool) -> None:
    report = await (await archived(MemoryStore(versioned=versioned))).audited(deep=deep)
    assert report.findings == report.notes == []
    assert (report.chains, report.entries, report.offsets) == (1, ENTRIES, ENTRIES * OFFSETS)
    assert (report.objects, report.orphans, report.policy_entries) == (3 * ENTRIES, 0, 4)
    assert report.records == {"accepted": 6 * ENTRIES, "dead-lettered": ENTRIES, "gap": ENTRIES}
    assert (report.opened, report.lines) == ((3 * ENTRIES, 7 * ENTRIES) if deep else (0, 0))


@pytest.mark.parametrize("fault", SHALLOW)
async def test_a_planted_fault_is_found_and_named_without_opening_objects(fault: str) -> None:
    archive = await archived(MemoryStore())
    plant, expected = SHALLOW[fault]
    await plant(archive)
    report = await archive.audited(deep=False)
    assert kinds(report) == expected, report.findings
    assert expected <= kinds(await archive.audited())


@pytest.mark.parametrize("fault", DEEP)
async def test_a_fault_inside_an_object_is_found_by_opening_it(fault: str) -> None:
    archive = await archived(MemoryStore())
    plant, expected = DEEP[fault]
    await plant(archive)
    report = await archive.audited()
    assert kinds(report) == expected, report.findings


@pytest.mark.parametrize("fault", VERSIONED)
async def test_a_bucket_with_versions_tells_what_was_overwritten_or_deleted(fault: str) -> None:
    archive = await archived(MemoryStore(versioned=True))
    plant, expected = VERSIONED[fault]
    await plant(archive)
    report = await archive.audited()
    assert kinds(report) == expected, report.findings
