"""An auditor with nothing but the bucket finds each planted fault, and names it; a clean one has none."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.intake.making import NOW
from tests.unit.ledger import planted_entries, planted_objects, planted_policy  # noqa: F401 - they fill the tables
from tests.unit.ledger.audited import ENTRIES, OFFSETS, archived, flushed
from tests.unit.ledger.planting import DEEP, SHALLOW, VERSIONED
from tests.unit.ledger.world import GROUP, closing_of
from workers.errors import Fatal
from workers.ledger import entries
from workers.ledger.entries import AsFound, Opens
from workers.ledger.verify_objects import unit_of
from workers.ledger.verify_report import KEPT, Kind, Report
from workers.ledger.verify_state import Progress, StateFile
from workers.sealing.rows import unit_row
from workers.sealing.withdraw import disable
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import IF_ABSENT, Version


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


async def test_a_true_orphan_is_counted_and_no_finding() -> None:
    archive = await archived(MemoryStore())
    below = archive.chain.data(GROUP, 0, OFFSETS, "f" * 16)
    behind = archive.chain.data(GROUP, archive.heads[-1].next, archive.heads[-1].next + 9, "f" * 16)
    for key in (below, behind):
        await archive.store.put(key, b"x")
    report = await archive.audited()
    assert (report.clean, report.orphans, report.beyond_head) == (True, 2, 1)


async def test_an_orphan_whose_put_came_again_after_it_was_swept_is_no_finding() -> None:
    archive = await archived(MemoryStore(versioned=True))
    swept = archive.chain.data(GROUP, 0, OFFSETS, "f" * 16)
    await archive.store.put(swept, b"x")
    await archive.store.delete([swept])
    await archive.store.put(swept, b"x", condition=IF_ABSENT)
    report = await archive.audited()
    assert (report.clean, report.orphans) == (True, 1), report.findings


async def test_a_loss_on_record_is_a_note_and_no_finding() -> None:
    archive = await archived(MemoryStore())
    newest = archive.heads[-1]
    after = [await archive.closed(closing_of(newest, Opens(archive.chain.topic_id, 2, newest.next + 10)))]
    await flushed(archive, after)
    report = await archive.audited()
    assert report.clean, report.findings
    assert (report.chains, report.closings, report.lost) == (2, 1, 10)
    assert [note.kind for note in report.notes] == ["closed"]


@pytest.mark.parametrize("named", [True, False])
async def test_a_closing_excuses_what_it_names_and_nothing_else(named: bool) -> None:
    archive = await archived(MemoryStore())
    newest = archive.heads[-1]
    await archive.replaced(archive.key(1), b"eaten by moths")
    broken = AsFound(
        archive.key(1).rpartition("/")[2], entries.digest(b"eaten by moths") if named else "0" * 64
    )
    await archive.closed(closing_of(newest, Opens(archive.chain.topic_id, 2, newest.next), broken=(broken,)))
    report = await archive.audited()
    assert kinds(report) == (set() if named else {"broken_entry"})
    assert [note.kind for note in report.notes] == (["acknowledged", "closed"] if named else ["closed"])


@pytest.mark.parametrize("entries_read", range(ENTRIES + 1))
async def test_an_audit_goes_on_where_it_was_stopped(entries_read: int, tmp_path: Path) -> None:
    """And comes to the same report, findings on both sides of the stop included."""
    archive = await archived(MemoryStore())
    for fault in ("object_overwritten", "stranger_in_the_data", "count_off_by_one", "genesis_nonsense"):
        await SHALLOW[fault][0](archive)
    whole = await archive.audited()
    state = tmp_path / "audit.json"
    told = itertools.count()

    def stop(report: Report) -> None:
        if next(told) == entries_read:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await archive.audited(state=StateFile(state), progress=stop)
    before = archive.store.requests["get"]
    resumed = await archive.audited(state=StateFile(state))
    assert resumed == whole
    assert len(kinds(whole)) == 4
    assert not state.exists()
    gets = archive.store.requests["get"] - before
    await archive.audited()
    assert gets < archive.store.requests["get"] - before - gets, "it read everything again"


@pytest.mark.parametrize("keys_listed", [0, 5, 13])
async def test_an_audit_goes_on_where_it_was_stopped_among_objects(
    keys_listed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = await archived(MemoryStore())
    for name in ("0", "acme/src=shop/x", "zoo"):
        await archive.store.put(f"data/ws={name}", b"x")
    whole = await archive.audited()
    versions, state = archive.store.versions, tmp_path / "audit.json"

    async def stopping(prefix: str, **more: str) -> AsyncIterator[Version]:
        listed = itertools.count()
        async for version in versions(prefix, **more):
            if prefix == "data/" and next(listed) == keys_listed:
                raise KeyboardInterrupt
            yield version

    monkeypatch.setattr(archive.store, "versions", stopping)
    with pytest.raises(KeyboardInterrupt):
        await archive.audited(state=StateFile(state))
    monkeypatch.setattr(archive.store, "versions", versions)
    before = archive.store.requests["get"]
    assert await archive.audited(state=StateFile(state)) == whole
    assert whole.kinds == {"strange_key": 3}
    assert archive.store.requests["get"] - before < 12, "it read the ledger again"


async def test_another_audits_state_is_refused(tmp_path: Path) -> None:
    archive = await archived(MemoryStore())
    state = StateFile(tmp_path / "audit.json")
    state.save(Progress("another"))
    with pytest.raises(Fatal, match="another audit"):
        await archive.audited(state=state)


async def test_another_root_key_is_refused() -> None:
    archive = await archived(MemoryStore())
    await archive.replaced("fleet.json", b'{"cluster_id":"c","format":1,"group":"g","root_key":"file:other"}')
    with pytest.raises(Fatal, match="root key"):
        await archive.audited()


async def test_hiccups_of_the_store_change_nothing() -> None:
    archive = await archived(MemoryStore())
    archive.store.faults.add(Fault.UNAVAILABLE, operation="get", times=5)
    archive.store.faults.add(Fault.SLOW_DOWN, operation="versions", times=3)
    archive.store.faults.add(Fault.UNAVAILABLE, operation="list", times=2)
    report = await archive.audited()
    assert (report.clean, report.objects) == (True, 3 * ENTRIES)


async def test_objects_of_a_withdrawn_key_are_counted_and_no_finding() -> None:
    archive = await archived(MemoryStore())
    await disable(archive.keys.replicas, [unit_row(unit_of(await archive.object(0)))], NOW)
    report = await archive.audited()
    assert (report.clean, report.withdrawn, report.opened) == (True, ENTRIES, 2 * ENTRIES)


async def test_findings_beyond_what_is_kept_are_counted() -> None:
    report, more = Report(), Report()
    for number in range(KEPT):
        report.found(Kind.GAP, str(number), "")
    more.found(Kind.GAP, "one", "")
    more.found(Kind.FORK, "another", "")
    report.add(more)
    assert (len(report.findings), report.found_in_all) == (KEPT, KEPT + 2)
    assert report.kinds == {"gap": KEPT + 1, "fork": 1}
