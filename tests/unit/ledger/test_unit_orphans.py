"""Which outputs of a unit's consumers are orphans: those whose entry's place was taken by another."""

import pytest
from msgspec.structs import replace

from tests.unit.ledger.test_orphans import ALL, NOW, kinds
from tests.unit.ledger.test_unit_chain import broken, chain_of
from tests.unit.ledger.units import MAIN, NOBODYS, QUARANTINE, draft, intake, output
from tests.unit.ledger.world import retry
from workers.ledger import unit_entries as entries
from workers.ledger import unit_places
from workers.ledger.names import unit_entry
from workers.ledger.orphans import Judge, Kind
from workers.ledger.sweep import sweep
from workers.ledger.unit_chain import append, head
from workers.ledger.unit_entries import Became
from workers.ledger.unit_entries import Kind as Why
from workers.store.memory import MemoryStore

OTHER = "f" * 16


async def put(store: MemoryStore, seq: int, attempt: str = OTHER, number: int = 0) -> str:
    """What a consumer of MAIN leaves where it dies before its entry."""
    key = output(MAIN, MAIN, seq, attempt, 1, number).key
    await store.put(key, b"sealed")
    return key


async def released(store: MemoryStore) -> str:
    """The output of an entry, which is MAIN's and listed by the quarantine's chain."""
    held = intake(QUARANTINE, 0, 3)
    moved = output(MAIN, QUARANTINE, 1, "a" * 16, 3)
    await store.put(moved.key, b"sealed")
    plan = draft(Why.RELEASE, [(held.key, None, 3)], {Became.ACCEPTED: 3}, [moved])
    await append(store, await head(store, QUARANTINE, retry()), plan, retry())
    return moved.key


@pytest.mark.parametrize(
    ("seq", "kind"),
    [
        (1, Kind.ORPHAN),
        (3, Kind.ORPHAN),  # the newest entry's place
        (4, Kind.PENDING),  # its entry may be under way
        (5, Kind.UNPROVEN),  # whoever wrote it had seen entry 4
    ],
)
async def test_an_output_beside_a_chain_of_3(seq: int, kind: Kind) -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    key = await put(store, seq)
    assert await kinds(store) == {key: kind}


async def test_without_a_chain_the_first_entry_may_still_come() -> None:
    store = MemoryStore()
    first, second = await put(store, 1), await put(store, 2)
    assert await kinds(store) == {first: Kind.PENDING, second: Kind.UNPROVEN}


async def test_what_an_entry_lists_stays_and_other_outputs_of_its_attempt_go() -> None:
    store = MemoryStore()
    listed = await released(store)
    spare = output(MAIN, QUARANTINE, 1, "a" * 16, 3, number=1).key
    await store.put(spare, b"sealed")
    assert await kinds(store) == {listed: Kind.LISTED, spare: Kind.ORPHAN}


async def test_what_was_consumed_is_not_swept() -> None:
    """Also where an entry gives leave: to delete it is retention's."""
    store = MemoryStore()
    moved = await released(store)
    plan = draft(Why.DISPOSE, [(moved, None, 3)], {Became.DISPOSED: 3})
    await append(store, await head(store, MAIN, retry()), plan, retry())
    found = await sweep(store, store, retry(), NOW, ALL)
    assert (found.kinds, found.swept) == ({Kind.LISTED: 1}, 0)


async def test_a_pass_deletes_what_lost_its_place_and_keeps_what_may_still_win() -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    lost, pending = await put(store, 3), await put(store, 4)
    found = await sweep(store, store, retry(), NOW, ALL)
    assert found.swept == 1
    assert [stat.key async for stat in store.list("data/")] == [pending]
    assert lost != pending


@pytest.mark.parametrize("what", ["missing", "nonsense", "another's", "altered", "forged"])
async def test_a_broken_chain_makes_no_orphans(what: str) -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    keys = [await put(store, seq) for seq in (1, 2, 3, 4)]
    await broken(store, what)
    assert await kinds(store) == dict.fromkeys(keys, Kind.UNPROVEN)


async def test_an_entry_that_lists_what_it_could_not_proves_nothing() -> None:
    store = MemoryStore()
    await released(store)
    entry = (await head(store, QUARANTINE, retry())).entries[0]
    elsewhere = output(NOBODYS, QUARANTINE, 1, "a" * 16, 3)
    await store.put(entry.key, entries.encode(replace(entry, outputs=(elsewhere,))))
    assert set((await kinds(store)).values()) == {Kind.UNPROVEN}


async def test_another_ledger_makes_no_orphans() -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    await put(store, 1)
    await put(store, 3)
    assert Kind.ORPHAN not in (await kinds(MemoryStore("another ledger"), store)).values()


async def test_a_chain_that_grew_since_it_was_read_is_read_again() -> None:
    store = MemoryStore()
    at = await chain_of(store, 2)
    judge = Judge(store, retry())
    first = await judge.judge(await store.stat(await put(store, 2)))
    for number in (3, 4):
        stored = intake(MAIN, 100 * number, 1)
        plan = draft(Why.DISCARD, [(stored.key, None, 1)], {Became.DISCARDED: 1})
        at = await append(store, at, plan, retry())
    late = await judge.judge(await store.stat(await put(store, 5)))
    assert (first.kind, late.kind) == (Kind.ORPHAN, Kind.PENDING)
    assert late.chain == unit_entry(MAIN, 1).removesuffix("00000001.json")


async def test_a_chain_is_read_once_and_forgotten_where_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    await released(store)
    for number in range(20):
        await put(store, 1 + number % 3, number=number)
    store.requests.clear()
    found = await kinds(store)
    assert store.requests == {"list": 3, "get": 4}
    monkeypatch.setattr(unit_places, "KEPT", 1)
    assert await kinds(store) == found
