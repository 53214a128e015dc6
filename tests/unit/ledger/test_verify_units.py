"""An auditor finds each fault planted in unit chains, and none in an archive that was rightly changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.ledger import planted_units  # noqa: F401 - it fills the tables
from tests.unit.ledger.audited import archived, flushed
from tests.unit.ledger.chained import (
    ACME,
    BETA,
    BETAS,
    CONSUMED,
    GONE,
    LATE,
    NOBODYS,
    OBJECTS,
    chained,
)
from tests.unit.ledger.planting import UNITS, UNITS_DEEP, UNITS_VERSIONED
from tests.unit.ledger.test_verify import kinds
from tests.unit.ledger.world import closing_of
from workers.ledger import entries
from workers.ledger.entries import AsFound, Opens
from workers.ledger.names import unit_entry
from workers.ledger.unit_entries import Became, Kind
from workers.ledger.verify_state import StateFile
from workers.store.memory import MemoryStore
from workers.store.port import Version


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("versioned", [False, True])
async def test_what_was_consumed_rightly_gives_no_finding(*, deep: bool, versioned: bool) -> None:
    report = await (await chained(MemoryStore(versioned=versioned))).at.audited(deep=deep)
    assert report.findings == report.notes == []
    assert (report.unit_chains, report.unit_entries) == (3, 5)
    assert (report.consumed, report.became) == (sum(CONSUMED.values()), CONSUMED)
    assert (report.objects, report.gone, report.orphans) == (OBJECTS, GONE, 0)
    assert report.opened == (OBJECTS if deep else 0)


@pytest.mark.parametrize("fault", UNITS)
async def test_a_planted_fault_is_found_and_named_without_opening_objects(fault: str) -> None:
    archive = await chained(MemoryStore())
    plant, expected = UNITS[fault]
    await plant(archive)
    report = await archive.at.audited(deep=False)
    assert kinds(report) == expected, report.findings
    assert expected <= kinds(await archive.at.audited())


@pytest.mark.parametrize("fault", UNITS_DEEP)
async def test_a_fault_inside_an_output_is_found_by_opening_it(fault: str) -> None:
    archive = await chained(MemoryStore())
    plant, expected = UNITS_DEEP[fault]
    await plant(archive)
    report = await archive.at.audited()
    assert kinds(report) == expected, report.findings


@pytest.mark.parametrize("fault", UNITS_VERSIONED)
async def test_a_bucket_with_versions_tells_what_was_overwritten_or_deleted(fault: str) -> None:
    archive = await chained(MemoryStore(versioned=True))
    plant, expected = UNITS_VERSIONED[fault]
    await plant(archive)
    report = await archive.at.audited()
    assert kinds(report) == expected, report.findings


async def test_what_a_replay_moved_may_go_once_a_dispose_names_it() -> None:
    archive = await chained(MemoryStore())
    await flushed(archive.at, archive.at.heads, [LATE] * 3)
    key = (await archive.at.entry(-1)).objects[0].key
    moved = await archive.sealed(ACME, NOBODYS, 3, [LATE] * 3)
    await archive.consumed(NOBODYS, Kind.REPLAY, [(key, None, 3)], Became.ACCEPTED, moved)
    assert (await archive.at.audited()).clean
    await archive.store.delete([key])
    report = await archive.at.audited()
    assert [(found.kind, found.where) for found in report.findings] == [("missing_object", key)]
    await archive.consumed(NOBODYS, Kind.DISPOSE, [(key, None, 0)], Became.DISPOSED)
    report = await archive.at.audited()
    assert (report.findings, report.gone) == ([], GONE + 1)


async def test_outputs_that_no_entry_lists_are_counted_and_no_finding() -> None:
    archive = await chained(MemoryStore(versioned=True))
    await archive.sealed(ACME, ACME, 1, [LATE], attempt="b" * 16)  # its place is taken
    await archive.sealed(ACME, ACME, 3, [LATE], attempt="b" * 16)  # it may still be listed
    swept = (await archive.sealed(BETA, BETA, 1, [BETAS], attempt="b" * 16)).key
    await archive.store.delete([swept])
    await archive.sealed(BETA, BETA, 1, [BETAS], attempt="b" * 16)  # sent before that, it came again
    report = await archive.at.audited()
    assert (report.findings, report.orphans, report.beyond_head) == ([], 3, 1)


async def test_what_was_consumed_of_an_entry_that_a_closing_gave_up_is_noted() -> None:
    archive = await chained(MemoryStore())
    at = archive.at
    await at.replaced(at.key(1), b"eaten by moths")
    newest = at.heads[-1]
    broken = AsFound(at.key(1).rpartition("/")[2], entries.digest(b"eaten by moths"))
    assert "never_live" in kinds(await at.audited())
    await at.closed(closing_of(newest, Opens(at.chain.topic_id, 2, newest.next), broken=(broken,)))
    report = await at.audited()
    assert report.findings == []
    noted = [note.where for note in report.notes if note.kind == "acknowledged"]
    assert unit_entry(ACME, 1) in noted


@pytest.mark.parametrize("keys_listed", range(6))
async def test_an_audit_goes_on_where_it_was_stopped_among_units(
    keys_listed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And comes to the same report, findings on both sides of the stop included."""
    archive = await chained(MemoryStore())
    for fault in ("unit_entry_twice", "lines_consumed_twice"):
        await UNITS[fault][0](archive)
    whole = await archive.at.audited()
    versions, state = archive.store.versions, tmp_path / "audit.json"

    async def stopping(prefix: str, **more: str) -> AsyncIterator[Version]:
        listed = 0
        async for version in versions(prefix, **more):
            if prefix == "units/v1/" and listed == keys_listed:
                raise KeyboardInterrupt
            listed += 1
            yield version

    monkeypatch.setattr(archive.store, "versions", stopping)
    with pytest.raises(KeyboardInterrupt):
        await archive.at.audited(state=StateFile(state), readers=1)
    monkeypatch.setattr(archive.store, "versions", versions)
    assert await archive.at.audited(state=StateFile(state)) == whole
    assert whole.kinds == {"foreign_entry": 1, "consumed_twice": 1}


async def test_an_archive_without_unit_chains_costs_one_list_more() -> None:
    archive = await archived(MemoryStore())
    archive.store.requests.clear()
    await archive.audited()
    assert archive.store.requests["versions"] == 4  # policy, ledger, units, data
