"""Entries get places without a gap, whoever else appends, and a place costs a request."""

import asyncio

import pytest

from workers.sealing.numbered_log import NumberedLog
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import Unavailable

LOG = NumberedLog("log/", "log")


async def there(store: MemoryStore) -> list[bytes]:
    """Entries in the order of their places, which begin at 1 and have no gap."""
    names = [stat.key async for stat in store.list(LOG.prefix)]
    assert names == [LOG.name(seq) for seq in range(1, len(names) + 1)]
    return [(await store.get(name)).body for name in names]


async def test_an_entry_behind_ones_own_costs_a_request() -> None:
    store = MemoryStore()
    for number in range(40):
        await LOG.append([store], b"%d" % number)
        if number:
            assert store.requests == {"put": 1}
        store.requests.clear()
    assert await there(store) == [b"%d" % number for number in range(40)]


async def test_side_by_side_each_costs_a_request_too() -> None:
    store = MemoryStore()
    await LOG.append([store], b"first")
    store.requests.clear()
    bodies = [b"%d" % number for number in range(20)]
    await asyncio.gather(*(LOG.append([store], body) for body in bodies))
    assert store.requests == {"put": 20}
    assert sorted(await there(store)) == sorted([b"first", *bodies])


@pytest.mark.parametrize("others", [1, 2, 3, 7, 50])
async def test_behind_others_it_looks_from_where_it_was(others: int) -> None:
    store = MemoryStore()
    for number in range(100):
        await store.put(LOG.name(number + 1), b"%d" % number)
    await LOG.append([store], b"ours")
    for number in range(others):
        await store.put(LOG.name(102 + number), b"another %d" % number)
    store.requests.clear()
    await LOG.append([store], b"ours again")
    assert (await there(store))[-1] == b"ours again"
    assert store.requests["stat"] <= 2 * others.bit_length()


async def test_two_processes_side_by_side_leave_no_gap_and_lose_nothing() -> None:
    first = MemoryStore()

    class Another:
        """The same bucket, as another process has it."""

        def __init__(self) -> None:
            self.name = first.name

        def __getattr__(self, name: str) -> object:
            return getattr(first, name)

    bodies = [b"%d" % number for number in range(30)]
    stores = [first, Another(), Another()]
    await asyncio.gather(
        *(LOG.append([stores[at % 3]], body) for at, body in enumerate(bodies))  # type: ignore[list-item]  # Another is a Store by __getattr__
    )
    assert sorted(await there(first)) == sorted(bodies)


async def test_an_entry_whose_answer_was_lost_is_not_written_twice_by_the_same_call() -> None:
    store = MemoryStore()
    await LOG.append([store], b"first")
    store.faults.add(Fault.OWN_WRITE_REFUSED, operation="put", times=1)
    await LOG.append([store], b"second")
    assert await there(store) == [b"first", b"second"]


async def test_a_failure_takes_no_place_from_those_behind_it() -> None:
    store = MemoryStore()
    await LOG.append([store], b"first")
    store.faults.add(Fault.UNAVAILABLE, operation="put", times=1)
    with pytest.raises(Unavailable):
        await LOG.append([store], b"second")
    await LOG.append([store], b"third")
    assert await there(store) == [b"first", b"third"]
