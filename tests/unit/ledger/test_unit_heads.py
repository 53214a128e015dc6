"""A chain that grows is not read anew for each entry, nor for each unit that it feeds."""

import pytest

from tests.unit.ledger.units import MAIN, NOBODYS, QUARANTINE, REPLAYED, replayed
from tests.unit.ledger.world import retry
from workers.errors import Fatal
from workers.intake.dispositions import Clock
from workers.ledger import live, unit_chain, unit_heads
from workers.ledger.names import unit_entry
from workers.ledger.unit_heads import UnitHeads
from workers.store.memory import MemoryStore

LONG = 2500  # entries: three pages of a list


async def test_of_a_long_chain_only_what_is_new_is_read() -> None:
    store = MemoryStore()
    heads = UnitHeads(store, retry())
    at = await replayed(store, LONG)
    assert await heads.head(NOBODYS) == at
    for _ in range(3):
        at = await replayed(store, 2, at)
        store.requests.clear()
        assert await heads.head(NOBODYS) == at
        assert await heads.head(NOBODYS) == at
        assert store.requests == {"list": 2, "get": 2}
    assert at == await unit_chain.head(store, NOBODYS, retry())


async def test_units_of_a_day_read_what_feeds_them_once() -> None:
    store = MemoryStore()
    at = await replayed(store, LONG)
    heads = UnitHeads(store, retry())
    units = [MAIN, QUARANTINE, *(MAIN._replace(source=f"s{number}") for number in range(20))]
    store.requests.clear()
    for unit in units:
        assert await live.unit_by(heads, unit, []) == await live.unit(store, unit, [], retry())
        store.requests["get"] = 0
    await live.unit_by(heads, NOBODYS, REPLAYED)
    assert store.requests["get"] == 0
    assert len((await live.unit_by(heads, MAIN, [])).objects) == at.seq // 2
    store.requests.clear()
    for unit in units:
        await live.unit_by(heads, unit, [])
    assert store.requests == {"list": 3 * len(units) - 1}  # a quarantine has one feeder


async def test_what_nobody_asks_for_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_heads, "KEPT", 12)
    store = MemoryStore()
    await replayed(store, 5)  # of three each: the entry, its object, its output
    other = NOBODYS._replace(clock=Clock.QUARANTINE)
    heads = UnitHeads(store, retry())
    await heads.head(NOBODYS)
    await heads.head(other)  # it has no chain: nothing is kept of it
    store.requests.clear()
    await heads.head(NOBODYS)
    assert store.requests == {"list": 1}  # one chain is kept, however long it is
    heads._keep((await heads.head(NOBODYS))._replace(unit=other))
    store.requests.clear()
    await heads.head(NOBODYS)
    assert store.requests["get"] == 5


async def test_a_chain_that_goes_on_from_another_is_broken() -> None:
    store, other = MemoryStore(), MemoryStore()
    heads = UnitHeads(store, retry())
    await replayed(store, 1)
    await heads.head(NOBODYS)
    await replayed(other, 1)
    at = await replayed(other, 1)
    forged = await replayed(other, 1, at._replace(digest="0" * 64))
    key = unit_entry(NOBODYS, forged.seq)
    await store.put(key, (await other.get(key)).body)
    with pytest.raises(Fatal, match="does not name the one before it"):
        await heads.head(NOBODYS)


async def test_the_newest_is_found_from_where_it_was() -> None:
    store = MemoryStore()
    assert await unit_chain.newest(store, NOBODYS, retry()) == 0
    await replayed(store, LONG)
    assert await unit_chain.newest(store, NOBODYS, retry()) == LONG
    store.requests.clear()
    assert await unit_chain.newest(store, NOBODYS, retry(), LONG - 1) == LONG
    assert await unit_chain.newest(store, NOBODYS, retry(), LONG) == LONG
    assert store.requests == {"list": 2}
