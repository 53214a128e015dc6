"""What a pass deletes: nothing without being told, nothing young, nothing while it brakes."""

import asyncio

import pytest

from tests.unit.ledger.test_orphans import ALL, chain_of, put
from tests.unit.ledger.world import retry
from workers.errors import Retryable
from workers.ledger import sweep as module
from workers.ledger.orphans import Kind
from workers.ledger.sweep import SKEW, Brake, Sweep, Terms, sweep
from workers.store.faults import Fault
from workers.store.memory import MemoryStore

WRITTEN = 2_000_000_000_000  # ms since the epoch
HOUR = 3_600_000


def at(time: int = WRITTEN) -> MemoryStore:
    return MemoryStore(now=lambda: time)


async def with_orphans(count: int, sizes: tuple[int, ...] = (5, 5)) -> tuple[MemoryStore, list[str]]:
    store = at()
    head = await chain_of(store, [*sizes])
    return store, [await put(store, head.chain, 0, attempt=f"{n:016x}") for n in range(count)]


async def left(store: MemoryStore) -> set[str]:
    return {stat.key async for stat in store.list("data/")}


async def run(store: MemoryStore, terms: Terms, now: int = WRITTEN + HOUR) -> Sweep:
    return await sweep(store, store, retry(), now, terms)


async def test_a_dry_run_says_what_would_go() -> None:
    store, keys = await with_orphans(3)
    found = await run(store, Terms())
    assert (found.objects, found.due, found.due_bytes, found.swept) == (5, 3, 18, 0)
    assert found.kinds == {Kind.LISTED: 2, Kind.ORPHAN: 3}
    assert store.requests["delete"] == 0
    assert await left(store) >= {*keys}


async def test_orphans_go_and_everything_else_stays() -> None:
    store, keys = await with_orphans(3)
    before = await left(store)
    found = await run(store, Terms(delete=True))
    assert (found.swept, found.swept_bytes, found.refusals) == (3, 18, 0)
    assert await left(store) == before - {*keys}
    again = await run(store, Terms(delete=True))
    assert (again.due, again.swept, again.objects) == (0, 0, 2)


@pytest.mark.parametrize(("age", "due"), [(HOUR - 1, 0), (HOUR, 3)])
async def test_a_young_orphan_waits(age: int, due: int) -> None:
    store, _ = await with_orphans(3)
    found = await run(store, Terms(delete=True, grace=3600), WRITTEN + age)
    assert (found.kinds[Kind.ORPHAN], found.due, found.swept) == (3, due, due)


@pytest.mark.parametrize(
    ("share", "least", "braked"),
    [(0.5, 3, True), (0.6, 3, False), (0.5, 4, False), (0.0, 1, True)],
)
async def test_too_many_at_once_brake(share: float, least: int, braked: bool) -> None:
    store, keys = await with_orphans(3)  # beside two that are listed
    found = await run(store, Terms(delete=True, brake=Brake(share, least)))
    assert (found.braked, found.swept) == (braked, 0 if braked else 3)
    assert (await left(store) >= {*keys}) is braked


async def test_a_dry_run_says_that_it_would_brake() -> None:
    store, _ = await with_orphans(3)
    assert (await run(store, Terms(brake=Brake(0.1, 1)))).braked


async def test_what_the_store_keeps_is_told_and_goes_in_the_next_pass() -> None:
    store, keys = await with_orphans(3)
    store.faults.add(Fault.KEPT, operation="delete", key=keys[1])
    found = await run(store, Terms(delete=True))
    assert (found.swept, found.swept_bytes, found.refusals, [*found.refused]) == (2, 12, 1, [keys[1]])
    assert (await run(store, Terms(delete=True))).swept == 1
    assert not {*keys} & await left(store)


async def test_a_thousand_keys_a_request_and_a_slow_store() -> None:
    store, keys = await with_orphans(2300)
    store.faults.add(Fault.SLOW_DOWN, operation="delete", times=1)
    store.faults.add(Fault.LOST_RESPONSE, operation="delete", times=1)
    store.requests.clear()
    found = await run(store, Terms(delete=True))
    assert (found.swept, store.requests["delete"]) == (2300, 3 + 2)
    assert not {*keys} & await left(store)


async def test_more_than_memory_holds_go_pass_by_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_MAX", 4)
    store, _ = await with_orphans(9)
    swept = [(found.due, found.swept) for found in [await run(store, Terms(delete=True)) for _ in range(4)]]
    assert swept == [(9, 4), (5, 4), (1, 1), (0, 0)]


async def test_a_version_stays_behind_a_marker() -> None:
    store = MemoryStore(versioned=True, now=lambda: WRITTEN)
    head = await chain_of(store, [5])
    key = await put(store, head.chain, 0)
    assert (await run(store, Terms(delete=True))).swept == 1
    found = [version async for version in store.versions(key)]
    assert sorted(version.delete_marker for version in found) == [False, True]
    assert key not in await left(store)


async def test_ledger_and_data_in_two_buckets() -> None:
    both = at()
    head = await chain_of(both, [5, 5])
    key = await put(both, head.chain, 0)
    ledger, data = at(), at()
    async for stat in both.list(""):
        await (data if stat.key.startswith("data/") else ledger).put(
            stat.key, (await both.get(stat.key)).body
        )
    found = await sweep(ledger, data, retry(), WRITTEN + HOUR, Terms(delete=True))
    assert (found.objects, found.swept) == (3, 1)
    assert key not in await left(data)
    assert ledger.requests["delete"] == 0


async def test_what_is_settled_is_not_read_again() -> None:
    clock = [WRITTEN]
    store = MemoryStore(now=lambda: clock[0])
    head = await chain_of(store, [5, 5])
    now = WRITTEN + 3 * HOUR
    first = await run(store, Terms(), now)
    assert first.settled == now - SKEW
    store.requests.clear()
    assert (await run(store, Terms(since=first.settled), now)).kinds == {Kind.LISTED: 2}
    assert store.requests["get"] == 0
    clock[0] = now
    key = await put(store, head.chain, 0)
    second = await run(store, Terms(grace=0, since=first.settled), now)
    assert (second.kinds, second.due) == ({Kind.LISTED: 2, Kind.ORPHAN: 1}, 1)
    assert second.settled == now - SKEW
    third = await run(store, Terms(delete=True, grace=0, since=second.settled), now + HOUR)
    assert third.swept == 1
    assert key not in await left(store)


async def test_what_may_still_change_is_not_settled() -> None:
    store = at()
    head = await chain_of(store, [5])
    await put(store, head.chain, 5)  # pending
    found = await run(store, Terms(), WRITTEN + 100 * HOUR)
    assert found.settled == WRITTEN


async def test_doubtful_ones_are_counted_and_named() -> None:
    store, _ = await with_orphans(1)
    await store.put("data/what-is-this", b"")
    found = await run(store, Terms(delete=True))
    assert (found.doubtful, found.doubts) == (1, [("data/what-is-this", "nothing writes such a name")])
    assert "data/what-is-this" in await left(store)


async def test_it_may_be_stopped_while_it_deletes() -> None:
    store, keys = await with_orphans(3)
    store.faults.add(Fault.HELD, operation="delete")
    sweeping = asyncio.create_task(run(store, ALL))
    while not store.faults.injected:  # noqa: ASYNC110 # the store tells nobody that it holds a request
        await asyncio.sleep(0)
    sweeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sweeping
    store.faults.clear()
    assert (await run(store, ALL)).swept == len(keys)


async def test_a_bucket_that_fails_half_way_leaves_everything() -> None:
    store, keys = await with_orphans(1500)  # two pages
    store.faults.add(Fault.SERVER_ERROR, operation="list", key="data/", skip=1, times=None)
    with pytest.raises(Retryable):
        await sweep(store, store, retry(attempts=3), WRITTEN + HOUR, Terms(delete=True))
    store.faults.clear()
    assert await left(store) >= {*keys}
