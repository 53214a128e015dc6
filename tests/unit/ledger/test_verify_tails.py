"""With a checkpoint out of a forger's reach, an auditor finds what no chain can show: that it was cut."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from tests.unit.ledger.audited import ENTRIES, OFFSETS, Archive, archived, flushed
from tests.unit.ledger.chained import chained
from tests.unit.ledger.signing import OTHER, SIGNER, checkpointed, newest, said
from tests.unit.ledger.world import closing_of
from workers.ledger import checkpoint as checkpoints
from workers.ledger import entries
from workers.ledger.checkpoint import Vouched
from workers.ledger.entries import AsFound, Opens
from workers.ledger.head import after_entry
from workers.ledger.verify_report import Report
from workers.ledger.verify_state import StateFile
from workers.ledger.verify_tails import Sources
from workers.store.memory import MemoryStore


class Guarded(NamedTuple):
    archive: Archive
    second: MemoryStore
    true: Vouched  # the newest checkpoint, from the second bucket

    async def audited(self, **more: Any) -> Report:
        """As who trusts the second bucket alone."""
        sources = more.pop("checkpoints", Sources([self.second], SIGNER.trust))
        return await self.archive.audited(deep=False, checkpoints=sources, **more)

    async def cut(self, newest_entries: int) -> None:
        """As who deletes the newest entries, their objects, and the checkpoints that are in reach."""
        for index in range(1, newest_entries + 1):
            objects = (await self.archive.entry(-index)).objects
            await self.archive.store.delete([each.key for each in objects])
            await self.archive.store.delete([self.archive.key(-index)])
        await self.archive.store.delete(
            [stat.key async for stat in self.archive.store.list(checkpoints.ROOT)]
        )


async def guarded() -> Guarded:
    archive, second = await archived(MemoryStore("first")), MemoryStore("second")
    await checkpointed(archive.store, second, every=2)
    return Guarded(archive, second, await newest(second, archive.chain))


def kinds(report: Report) -> dict[str, int]:
    return report.kinds


Plant = Callable[[Guarded], Awaitable[None]]


async def one_cut(g: Guarded) -> None:
    await g.cut(1)


async def all_but_one_cut(g: Guarded) -> None:
    await g.cut(ENTRIES - 1)


async def cut_and_grown_again(g: Guarded) -> None:
    """To the same offsets, and beyond, truly linked: nothing but a checkpoint shows it."""
    await g.cut(1)
    head = after_entry(g.archive.chain, 2 * OFFSETS, await body(g, -2))[1]
    heads = [head]
    for _ in range(3):
        await flushed(g.archive, heads)


async def cut_and_grown_otherwise(g: Guarded) -> None:
    await g.cut(2)
    heads = [after_entry(g.archive.chain, OFFSETS, await body(g, 1))[1]]
    await flushed(g.archive, heads, [b"garbage"] * 3)
    await flushed(g.archive, heads, [b"garbage"] * 20)


async def an_old_entry_changed_and_all_linked_anew(g: Guarded) -> None:
    await g.archive.forged(0, lambda entry: replace(entry, committed_at=entry.committed_at - 1))


async def sums_of_another_chain(g: Guarded) -> None:
    true = g.true.checkpoint
    await said([g.second], true, sums=replace(true.sums, gaps=true.sums.gaps + 1))


async def signed_by_another(g: Guarded) -> None:
    await said([g.second], g.true.checkpoint, OTHER, first=77, next=78)


async def under_another_place(g: Guarded) -> None:
    await g.second.put(checkpoints.key_of(g.archive.chain, 77), g.true.body)


async def of_another_incarnation(g: Guarded) -> None:
    await said([g.second], g.true.checkpoint, incarnation=2)


async def newer_than_the_chain(g: Guarded) -> None:
    await said([g.second], g.true.checkpoint, first=77, next=78)


async def strange_name(g: Guarded) -> None:
    await g.second.put("checkpoints/v1/what", b"")


async def body(g: Guarded, index: int) -> bytes:
    got: bytes = (await g.archive.store.get(g.archive.key(index))).body
    return got


PLANTED: dict[Plant, str] = {
    one_cut: "cut_tail",
    all_but_one_cut: "cut_tail",
    cut_and_grown_again: "other_than_checkpoint",
    cut_and_grown_otherwise: "cut_tail",
    an_old_entry_changed_and_all_linked_anew: "other_than_checkpoint",
    sums_of_another_chain: "other_than_checkpoint",
    signed_by_another: "forged_checkpoint",
    under_another_place: "forged_checkpoint",
    of_another_incarnation: "cut_tail",
    newer_than_the_chain: "cut_tail",
    strange_name: "forged_checkpoint",
}
INVISIBLE = (  # in order: each of pytest's processes must see the same
    *(one_cut, all_but_one_cut, cut_and_grown_again, cut_and_grown_otherwise),
    an_old_entry_changed_and_all_linked_anew,
)


async def test_what_is_met_is_no_finding_and_is_counted() -> None:
    g = await guarded()
    sources = Sources([g.archive.store, g.second], SIGNER.trust)
    report = await g.audited(checkpoints=sources)
    assert (report.clean, report.checkpoints, report.entries) == (True, 2, ENTRIES)
    await flushed(g.archive, g.archive.heads)  # newer than what was signed
    assert (await g.audited()).clean


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
async def test_a_planted_fault_is_found_and_named(plant: Plant) -> None:
    g = await guarded()
    await plant(g)
    assert kinds(await g.audited()) == {PLANTED[plant]: 1}


@pytest.mark.parametrize("plant", INVISIBLE, ids=lambda plant: plant.__name__)
async def test_without_a_checkpoint_it_is_not_seen(plant: Plant) -> None:
    g = await guarded()
    await plant(g)
    assert (await g.archive.audited(deep=False)).clean


async def test_a_checkpoint_in_a_file_is_as_good() -> None:
    g = await guarded()
    await g.cut(1)
    lines = b"\n".join([b"", g.true.body, b"nonsense", b""])
    report = await g.audited(checkpoints=Sources([], SIGNER.trust, {"kept.ndjson": lines}))
    assert kinds(report) == {"cut_tail": 1, "forged_checkpoint": 1}
    assert {each.where for each in report.findings} == {g.archive.key(-1), "kept.ndjson:3"}


async def test_a_chain_that_is_gone_altogether_is_found() -> None:
    g = await guarded()
    await g.cut(ENTRIES)
    await g.archive.store.delete([g.archive.chain.genesis])
    assert kinds(await g.audited()) == {"cut_tail": 1}


async def test_what_a_closing_names_is_a_note() -> None:
    g = await guarded()
    key = g.archive.key(-1)
    await g.archive.replaced(key, b"eaten by moths")
    name, digest = key.rpartition("/")[2], entries.digest(b"eaten by moths")
    opens = Opens(g.archive.chain.topic_id, 2, g.archive.heads[-1].next)
    await g.archive.closed(closing_of(g.archive.heads[-1], opens, broken=(AsFound(name, digest),)))
    report = await g.audited()
    assert report.clean, report.findings
    assert sorted(note.kind for note in report.notes) == ["acknowledged", "acknowledged", "closed"]


@pytest.mark.parametrize("newer", [0, 2])
async def test_from_a_checkpoint_on_only_what_is_newer_is_read(newer: int) -> None:
    g = await guarded()
    for _ in range(newer):
        await flushed(g.archive, g.archive.heads)
    before = g.archive.store.requests["get"]
    report = await g.audited(from_checkpoints=True)
    gets = g.archive.store.requests["get"] - before
    assert report.clean, report.findings
    assert (report.entries, report.objects, report.orphans) == (newer, 3 * newer, 0)
    assert (report.vouched_chains, report.vouched_entries) == (1, ENTRIES)
    assert report.vouched_offsets == ENTRIES * OFFSETS
    before = g.archive.store.requests["get"]
    await g.audited()
    # each entry, and its three objects
    assert g.archive.store.requests["get"] - before - gets >= 4 * ENTRIES


@pytest.mark.parametrize(
    "plant", [p for p in PLANTED if p is not sums_of_another_chain], ids=lambda plant: plant.__name__
)
async def test_from_a_checkpoint_on_its_own_entry_is_held_against_it(plant: Plant) -> None:
    g = await guarded()
    await plant(g)
    assert PLANTED[plant] in kinds(await g.audited(from_checkpoints=True))


async def test_from_a_checkpoint_on_a_fault_behind_it_is_found() -> None:
    g = await guarded()
    for _ in range(2):
        await flushed(g.archive, g.archive.heads)
    await g.archive.store.delete([g.archive.key(-2)])
    assert kinds(await g.audited(from_checkpoints=True)) == {"gap": 1}


async def test_from_a_checkpoint_on_a_first_entry_that_does_not_follow_it_is_found() -> None:
    g = await guarded()
    await flushed(g.archive, g.archive.heads)
    entry = await body(g, -1)
    await g.archive.replaced(g.archive.key(-1), entry.replace(g.true.checkpoint.sha256.encode(), b"0" * 64))
    assert kinds(await g.audited(from_checkpoints=True)) == {"broken_link": 1}


async def test_from_the_checkpoint_of_a_closing_the_next_chain_is_read() -> None:
    g = await guarded()
    newest_head = g.archive.heads[-1]
    opens = Opens(g.archive.chain.topic_id, 2, newest_head.next)
    after = [await g.archive.closed(closing_of(newest_head, opens))]
    await checkpointed(g.archive.store, g.second)
    await flushed(g.archive, after)
    report = await g.audited(from_checkpoints=True)
    assert report.clean, report.findings
    assert (report.chains, report.vouched_chains, report.entries) == (2, 1, 1)


async def test_from_a_checkpoint_on_an_audit_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    """Also where a newer checkpoint was signed meanwhile."""
    g = await guarded()
    for _ in range(3):
        await flushed(g.archive, g.archive.heads)
    state = tmp_path / "audit.json"

    def stop(report: Report) -> None:
        if report.entries == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await g.audited(from_checkpoints=True, state=StateFile(state), progress=stop)
    await checkpointed(g.archive.store, g.second)
    report = await g.audited(from_checkpoints=True, state=StateFile(state))
    assert report.clean, report.findings
    assert (report.entries, report.vouched_entries) == (3, ENTRIES)


@pytest.mark.parametrize("start", [True, False])
async def test_what_units_consumed_stays_consumed(*, start: bool) -> None:
    made = await chained(MemoryStore())
    await checkpointed(made.store)
    whole = await made.at.audited()
    sources = Sources([made.store], SIGNER.trust)
    report = await made.at.audited(checkpoints=sources, from_checkpoints=start)
    assert report.clean, report.findings
    assert (report.unit_entries, report.consumed) == (whole.unit_entries, whole.consumed)
    assert report.orphans == whole.orphans
