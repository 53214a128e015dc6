"""An auditor with nothing but the bucket finds each planted fault, and names it."""

from collections.abc import Awaitable, Callable

import pytest
from msgspec.structs import replace

from tests.unit.ledger.world import MemoryLog, committed, retry
from workers.ledger import entries
from workers.ledger.entries import Entry
from workers.ledger.head import Head
from workers.ledger.verify import Report, Verifier
from workers.store.faults import Fault
from workers.store.memory import MemoryStore


async def verify(store: MemoryStore) -> Report:
    return await Verifier(store, store, retry()).run()


async def archived() -> tuple[MemoryStore, list[Head]]:
    """Three entries of 2 records each, one object an entry."""
    store = MemoryStore()
    return store, await committed(store, MemoryLog(), [2, 2, 2])


async def objects(store: MemoryStore) -> list[str]:
    return [stat.key async for stat in store.list("data/")]


async def rewrite(store: MemoryStore, key: str, change: Callable[[Entry], Entry]) -> None:
    """Replaces an entry without a trace of its older version."""
    entry = entries.decode(Entry, (await store.get(key)).body, key)
    await store.delete([key])
    await store.put(key, entries.encode(change(entry)))


async def test_an_honest_ledger_is_clean_and_counted() -> None:
    store, _ = await archived()
    report = await verify(store)
    assert report.clean
    assert (report.chains, report.entries, report.offsets, report.objects, report.orphans) == (1, 3, 6, 3, 0)
    assert report.records["accepted"] == 6


async def test_an_object_that_no_entry_lists_is_an_orphan_and_no_finding() -> None:
    store, _ = await archived()
    await store.put("data/ws=acme/src=shop/day=2026-11-25/accepted/left-by-a-crash", b"x")
    report = await verify(store)
    assert report.clean
    assert report.orphans == 1


def _entry(heads: list[Head], index: int) -> str:
    return heads[0].chain.entry(heads[index].next)


async def no_genesis(store: MemoryStore, heads: list[Head]) -> None:
    await store.delete([heads[0].chain.genesis])


async def nonsense_genesis(store: MemoryStore, heads: list[Head]) -> None:
    await store.delete([heads[0].chain.genesis])
    await store.put(heads[0].chain.genesis, b"{}")


async def entry_removed(store: MemoryStore, heads: list[Head]) -> None:
    await store.delete([_entry(heads, 1)])


async def entry_is_no_json(store: MemoryStore, heads: list[Head]) -> None:
    await store.delete([_entry(heads, 2)])
    await store.put(_entry(heads, 2), b"\xff")


async def entry_of_another_place(store: MemoryStore, heads: list[Head]) -> None:
    body = (await store.get(_entry(heads, 0))).body
    await store.delete([_entry(heads, 2)])
    await store.put(_entry(heads, 2), body)


async def forged_digest(store: MemoryStore, heads: list[Head]) -> None:
    await rewrite(store, _entry(heads, 2), lambda e: replace(e, previous="0" * 64))


async def changed_entry_in_the_middle(store: MemoryStore, heads: list[Head]) -> None:
    await rewrite(store, _entry(heads, 1), lambda e: replace(e, committed_at=e.committed_at + 1))


async def overlapping_entry(store: MemoryStore, heads: list[Head]) -> None:
    entry = entries.decode(Entry, (await store.get(_entry(heads, 2))).body, "")
    shifted = replace(entry, first=entry.first - 1, gaps=1)
    await store.put(heads[0].chain.entry(shifted.first), entries.encode(shifted))


async def count_off_by_one(store: MemoryStore, heads: list[Head]) -> None:
    await rewrite(store, _entry(heads, 2), lambda e: replace(e, counts={"accepted": {"accepted": 1}}))


async def count_moved_to_gaps(store: MemoryStore, heads: list[Head]) -> None:
    await rewrite(store, _entry(heads, 2), lambda e: replace(e, counts={"accepted": {"accepted": 1}}, gaps=1))


async def object_removed(store: MemoryStore, heads: list[Head]) -> None:
    await store.delete([(await objects(store))[0]])


async def object_overwritten(store: MemoryStore, heads: list[Head]) -> None:
    key = (await objects(store))[0]
    body = (await store.get(key)).body
    await store.put(key, body[:-1] + bytes([body[-1] ^ 1]))


async def object_truncated(store: MemoryStore, heads: list[Head]) -> None:
    key = (await objects(store))[0]
    await store.put(key, (await store.get(key)).body[:-1])


async def objects_swapped(store: MemoryStore, heads: list[Head]) -> None:
    first, second = (await objects(store))[:2]
    one, other = (await store.get(first)).body, (await store.get(second)).body
    await store.put(first, other)
    await store.put(second, one)


async def object_under_another_workspace(store: MemoryStore, heads: list[Head]) -> None:
    def move(entry: Entry) -> Entry:
        return replace(entry, objects=tuple(replace(o, workspace="other") for o in entry.objects))

    await rewrite(store, _entry(heads, 2), move)


async def object_listed_by_two_entries(store: MemoryStore, heads: list[Head]) -> None:
    first = entries.decode(Entry, (await store.get(_entry(heads, 0))).body, "")
    await rewrite(store, _entry(heads, 2), lambda e: replace(e, objects=first.objects))


async def strange_key(store: MemoryStore, heads: list[Head]) -> None:
    await store.put("ledger/v1/notes.txt", b"hello")


async def entry_under_a_crooked_name(store: MemoryStore, heads: list[Head]) -> None:
    await store.put(f"{heads[0].chain.prefix}4.json", (await store.get(_entry(heads, 2))).body)


FAULTS: list[tuple[Callable[[MemoryStore, list[Head]], Awaitable[None]], set[str]]] = [
    (no_genesis, {"missing_genesis"}),
    (nonsense_genesis, {"broken_genesis"}),
    (entry_removed, {"gap"}),
    (entry_is_no_json, {"broken_entry"}),
    (entry_of_another_place, {"broken_entry"}),
    (forged_digest, {"fork"}),
    (changed_entry_in_the_middle, {"fork"}),
    (overlapping_entry, {"overlap"}),
    (count_off_by_one, {"broken_entry"}),
    (count_moved_to_gaps, {"miscount"}),
    (object_removed, {"missing_object"}),
    (object_overwritten, {"object_digest"}),
    (object_truncated, {"object_size"}),
    (objects_swapped, {"object_digest"}),
    (object_under_another_workspace, {"misplaced_object"}),
    (object_listed_by_two_entries, {"listed_twice"}),
    (strange_key, {"strange_key"}),
    (entry_under_a_crooked_name, {"strange_key"}),
]


@pytest.mark.parametrize(("plant", "kinds"), FAULTS, ids=[plant.__name__ for plant, _ in FAULTS])
async def test_a_planted_fault_is_found_and_named(
    plant: Callable[[MemoryStore, list[Head]], Awaitable[None]], kinds: set[str]
) -> None:
    store, heads = await archived()
    await plant(store, heads)
    assert kinds <= {finding.kind for finding in (await verify(store)).findings}


async def test_an_entry_that_was_overwritten_or_deleted_shows_in_its_versions() -> None:
    store = MemoryStore(versioned=True)
    heads = await committed(store, MemoryLog(), [2, 2])
    body = (await store.get(_entry(heads, 0))).body
    await store.put(_entry(heads, 0), body)
    await store.delete([_entry(heads, 1)])
    assert {finding.kind for finding in (await verify(store)).findings} == {
        "overwritten_entry",
        "deleted_entry",
    }


async def test_an_object_listed_twice_by_one_entry() -> None:
    store, heads = await archived()
    await rewrite(
        store,
        _entry(heads, 2),
        lambda e: replace(e, objects=e.objects * 2, counts={"accepted": {"accepted": 4}}, next=e.next + 2),
    )
    assert "listed_twice" in {finding.kind for finding in (await verify(store)).findings}


@pytest.mark.parametrize("change", ["another's", "none"])
async def test_an_object_sealed_for_another_place(change: str) -> None:
    store, _ = await archived()
    first, second = [await store.get(key) for key in (await objects(store))[:2]]
    metadata = second.metadata if change == "another's" else {}
    await store.put((await objects(store))[0], first.body, metadata=metadata)
    assert {finding.kind for finding in (await verify(store)).findings} == {"foreign_seal"}


async def test_a_hiccup_of_a_listing_ends_no_verification() -> None:
    store, _ = await archived()
    store.faults.add(Fault.UNAVAILABLE, operation="list", times=2)
    store.faults.add(Fault.SLOW_DOWN, operation="versions", times=2)
    assert (await verify(store)).clean
