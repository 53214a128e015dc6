"""The live set of a unit: intake objects and what landed, less what the unit's own chain consumed."""

import pytest
from msgspec.structs import replace

from tests.unit.ledger.units import MAIN, NOBODYS, QUARANTINE, disposal, draft, intake, output
from tests.unit.ledger.world import retry
from workers.errors import Fatal
from workers.ledger import live
from workers.ledger import unit_entries as entries
from workers.ledger.entries import StoredObject
from workers.ledger.unit_chain import Draft, UnitHead, append, head
from workers.ledger.unit_entries import Became, Kind
from workers.sealing.keys import Unit
from workers.store.memory import MemoryStore

ONE, TWO = intake(MAIN, 0, 4), intake(MAIN, 10, 6)


async def written(store: MemoryStore, unit: Unit, *drafts: Draft) -> UnitHead:
    at = await head(store, unit, retry())
    for each in drafts:
        at = await append(store, at, each, retry())
    return at


async def found_in(
    store: MemoryStore, unit: Unit = MAIN, objects: tuple[StoredObject, ...] = (ONE, TWO)
) -> live.Live:
    return await live.unit(store, unit, objects, retry())


async def test_without_a_chain_everything_is_live() -> None:
    store = MemoryStore()
    found = await found_in(store)
    assert {key: (each.left, each.lines) for key, each in found.objects.items()} == {
        ONE.key: (4, ((0, 3),)),
        TWO.key: (6, ((0, 5),)),
    }
    assert (found.head.seq, found.spent, found.free) == (0, {}, {})
    assert store.requests == {"list": 3}


async def test_objects_of_other_units_do_not_count() -> None:
    found = await found_in(MemoryStore(), objects=(ONE, intake(QUARANTINE, 20, 3)))
    assert [*found.objects] == [ONE.key]


async def test_lines_are_consumed_bit_by_bit() -> None:
    store = MemoryStore()
    some = draft(Kind.DISCARD, [(TWO.key, ((1, 1), (4, 5)), 3)], {Became.DISCARDED: 3})
    await written(store, MAIN, some)
    found = await found_in(store)
    assert (found.objects[TWO.key].lines, found.objects[TWO.key].left) == (((0, 0), (2, 3)), 3)
    assert found.objects[TWO.key].leave
    await written(store, MAIN, draft(Kind.DISCARD, [(TWO.key, None, 3)], {Became.DISCARDED: 3}))
    found = await found_in(store)
    assert ([*found.objects], [*found.free]) == ([ONE.key], [TWO.key])


async def test_what_was_moved_stays_until_a_dispose_names_it() -> None:
    store = MemoryStore()
    held = intake(QUARANTINE, 20, 3)
    moved = output(MAIN, QUARANTINE, 1, "a" * 16, 3)
    await written(
        store, QUARANTINE, draft(Kind.RELEASE, [(held.key, None, 3)], {Became.ACCEPTED: 3}, [moved])
    )
    found = await found_in(store, QUARANTINE, (held,))
    assert ([*found.objects], [*found.spent], [*found.free]) == ([], [held.key], [])
    await written(store, QUARANTINE, disposal((held, 0)))
    found = await found_in(store, QUARANTINE, (held,))
    assert ([*found.objects], [*found.spent], [*found.free]) == ([], [], [held.key])


async def test_outputs_land_from_quarantine_from_nobodys_and_from_the_unit_itself() -> None:
    store = MemoryStore()
    held, unknown = intake(QUARANTINE, 20, 3), intake(NOBODYS, 30, 5)
    out = output(MAIN, QUARANTINE, 1, "a" * 16, 3)
    replayed = output(MAIN, NOBODYS, 1, "a" * 16, 2)
    kept_back = output(QUARANTINE, NOBODYS, 1, "a" * 16, 3, number=1)
    compacted = output(MAIN, MAIN, 1, "a" * 16, 7)
    await written(store, QUARANTINE, draft(Kind.RELEASE, [(held.key, None, 3)], {Became.ACCEPTED: 3}, [out]))
    await written(
        store,
        NOBODYS,
        draft(
            Kind.REPLAY,
            [(unknown.key, None, 5)],
            {Became.ACCEPTED: 2, Became.QUARANTINED: 3},
            [replayed, kept_back],
        ),
    )
    await written(
        store,
        MAIN,
        draft(Kind.COMPACT, [(ONE.key, None, 4), (out.key, None, 3)], {Became.ACCEPTED: 7}, [compacted]),
    )
    found = await found_in(store)
    assert found.objects.keys() == {TWO.key, replayed.key, compacted.key}
    assert found.free.keys() == {ONE.key, out.key}
    quarantined = await found_in(store, QUARANTINE, (held,))
    assert quarantined.objects.keys() == {kept_back.key}
    assert (await found_in(store, NOBODYS, (unknown,))).spent.keys() == {unknown.key}


async def test_a_late_intake_object_adds_to_what_is_live() -> None:
    store = MemoryStore()
    await written(store, MAIN, disposal((ONE, 4)))
    found = await found_in(store)
    assert ([*found.objects], [*found.free]) == ([TWO.key], [ONE.key])


async def test_what_is_gone_and_not_listed_any_more_is_passed_over() -> None:
    store = MemoryStore()
    await written(store, MAIN, disposal((ONE, 4)))
    found = await found_in(store, objects=(TWO,))
    assert ([*found.objects], found.free) == ([TWO.key], {})


@pytest.mark.parametrize(
    "again",
    [
        (ONE.key, ((0, 0),), 1),  # a line that went before
        (ONE.key, None, 4),  # as if all were there
        (TWO.key, ((4, 6),), 3),  # beyond its end
        (TWO.key, None, 5),  # one too few
    ],
    ids=str,
)
async def test_a_chain_that_consumes_what_is_not_live_is_broken(
    again: tuple[str, tuple[tuple[int, int], ...] | None, int],
) -> None:
    """As a forger writes one: our own append would refuse it."""
    store = MemoryStore()
    some = draft(Kind.DISCARD, [(ONE.key, ((0, 1),), 2)], {Became.DISCARDED: 2})
    forged = draft(Kind.DISCARD, [again], {Became.DISCARDED: again[2]})
    at = await written(store, MAIN, some)
    entry = replace(
        at.entries[0], seq=2, previous=at.digest, consumed=forged.consumed, counts=dict(forged.counts)
    )
    await store.put(entry.key, entries.encode(entry))
    with pytest.raises(Fatal, match="00000002"):
        await found_in(store)
