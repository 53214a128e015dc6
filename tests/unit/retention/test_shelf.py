"""A day's entries are read once for all its units that are to go, and what is kept of them has a bound."""

import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import World, group
from workers.retention import shelf
from workers.retention.index import UnitIndex
from workers.sealing.keys import Unit

NAMES = [f"w{number}" for number in range(5)]
UNITS = [unit(40, name) for name in NAMES]
ENTRIES = 7


async def world() -> tuple[World, UnitIndex]:
    """Of each of five workspaces an object an entry; the first has an entry of its own too."""
    found = World({name: workspace(name, retention_days=30) for name in NAMES})
    for _ in range(ENTRIES - 1):
        await found.commit({group(each): [b"{}"] for each in UNITS})
    await found.commit({group(UNITS[0]): [b"{}"]})
    index = UnitIndex(found.ledger, retry(), lambda: found.now)
    await index.advance()
    found.ledger.requests.clear()
    return found, index


async def same(found: World, index: UnitIndex, of: Unit) -> bool:
    asked = await index.objects(of)
    return sorted(each.key for each in asked) == sorted(each.key for each in found.objects(of)) and all(
        each in found.objects(of) for each in asked
    )


async def test_a_days_entries_are_read_once_for_all_that_is_expected() -> None:
    found, index = await world()
    index.expects(UNITS)
    for each in UNITS * 3:
        assert await same(found, index, each)
    assert found.ledger.requests["get"] == ENTRIES


async def test_without_expecting_each_unit_is_read_once() -> None:
    found, index = await world()
    for each in UNITS * 2:
        assert await same(found, index, each)
    assert found.ledger.requests["get"] == ENTRIES + 4 * (ENTRIES - 1)


async def test_what_is_committed_later_alone_is_read_then() -> None:
    found, index = await world()
    index.expects(UNITS)
    assert await same(found, index, UNITS[1])
    await found.commit({group(UNITS[1]): [b"{}"], group(UNITS[2]): [b"{}"]})
    await index.advance()
    found.ledger.requests.clear()
    for each in UNITS:
        assert await same(found, index, each)
    assert found.ledger.requests["get"] == 1


async def test_what_is_there_already_does_not_come_twice() -> None:
    found, index = await world()
    assert await same(found, index, UNITS[1])
    await found.commit({group(each): [b"{}"] for each in UNITS})
    await index.advance()
    index.expects(UNITS)
    for each in UNITS:
        assert await same(found, index, each)


async def test_what_was_asked_for_longest_ago_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "OBJECTS", 2 * ENTRIES)
    monkeypatch.setattr(shelf, "CHUNK", 2)
    found, index = await world()
    index.expects(UNITS)
    for each in UNITS * 2:
        assert await same(found, index, each)
        assert index.shelved <= shelf.OBJECTS
    assert ENTRIES < found.ledger.requests["get"] <= 2 * len(UNITS) * ENTRIES


async def test_a_unit_that_is_larger_than_the_shelf_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shelf, "OBJECTS", 1)
    found, index = await world()
    index.expects(UNITS)
    for each in UNITS:
        assert await same(found, index, each)


async def test_what_is_not_expected_any_more_is_let_go() -> None:
    found, index = await world()
    index.expects(UNITS)
    assert await same(found, index, UNITS[0])
    assert index.shelved == ENTRIES + 4 * (ENTRIES - 1)
    index.expects(UNITS[:1])
    assert index.shelved == ENTRIES
    index.expects([])
    assert index.shelved == 0
