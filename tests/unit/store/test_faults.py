"""Each fault does to the bucket, and tells the writer, what its name says; the same seed does the same."""

import asyncio

import pytest

from workers.errors import StrongroomError
from workers.store.faults import PASSING, Fault, Faults
from workers.store.memory import MemoryStore
from workers.store.port import IF_ABSENT, Conflict, Denied, NotFound, PreconditionFailed, Unavailable

READ_FAULTS = [fault for fault in Fault if "get" in fault.operations and fault is not Fault.HELD]


async def held(store: MemoryStore) -> list[str]:
    """What is in the bucket, seen without faults."""
    rules, store.faults = store.faults, Faults()
    keys = [stat.key async for stat in store.list("")]
    store.faults = rules
    return keys


@pytest.mark.parametrize(
    ("fault", "told", "done"),
    [
        (Fault.LOST_RESPONSE, Unavailable, True),
        (Fault.OWN_WRITE_REFUSED, PreconditionFailed, True),
        (Fault.LATE_WRITE, Unavailable, False),
        (Fault.TIMED_OUT, Unavailable, False),
        (Fault.CONFLICT, Conflict, False),
        (Fault.REFUSED, PreconditionFailed, False),
        (Fault.SERVER_ERROR, Unavailable, False),
        (Fault.UNAVAILABLE, Unavailable, False),
        (Fault.SLOW_DOWN, Unavailable, False),
        (Fault.UNAUTHENTICATED, Denied, False),
        (Fault.DENIED, Denied, False),
    ],
)
async def test_a_put_goes_wrong_once(fault: Fault, told: type[StrongroomError], done: bool) -> None:
    store = MemoryStore()
    store.faults.add(fault)
    with pytest.raises(told, match="memory/object") as raised:
        await store.put("object", b"x", condition=IF_ABSENT)
    assert type(raised.value) is told
    assert await held(store) == (["object"] if done else [])
    await store.put("other", b"x", condition=IF_ABSENT)


@pytest.mark.parametrize("fault", READ_FAULTS)
async def test_a_read_goes_wrong_once(fault: Fault) -> None:
    store = MemoryStore()
    await store.put("object", b"x")
    told = NotFound if fault is Fault.NOT_FOUND else Denied if "DENIED" in fault.name else StrongroomError
    for operation in ("get", "stat"):
        store.faults.add(fault, operation=operation)
    with pytest.raises(told):
        await store.get("object")
    with pytest.raises(told):
        await store.stat("object")
    assert (await store.get("object")).body == b"x"


async def test_a_refused_put_and_a_lost_object_are_412_then_404() -> None:
    store = MemoryStore()
    store.faults.add(Fault.REFUSED, key="ledger/*")
    store.faults.add(Fault.NOT_FOUND, key="ledger/*", times=None)
    with pytest.raises(PreconditionFailed):
        await store.put("ledger/1", b"x", condition=IF_ABSENT)
    for _ in range(3):
        with pytest.raises(NotFound):
            await store.get("ledger/1")


async def test_an_own_second_try_only_meets_a_condition() -> None:
    store = MemoryStore()
    store.faults.add(Fault.OWN_WRITE_REFUSED)
    await store.put("object", b"x")
    assert await held(store) == ["object"]


async def test_a_lost_response_tells_nothing_of_a_refusal_either() -> None:
    store = MemoryStore()
    await store.put("object", b"first")
    store.faults.add(Fault.LOST_RESPONSE)
    with pytest.raises(Unavailable):
        await store.put("object", b"second", condition=IF_ABSENT)
    assert (await store.get("object")).body == b"first"


async def test_a_late_write_lands_after_so_many_requests() -> None:
    store = MemoryStore()
    store.faults.add(Fault.LATE_WRITE, lands_after=2)
    with pytest.raises(Unavailable):
        await store.put("object", b"x")
    with pytest.raises(NotFound):
        await store.get("object")
    assert (await store.get("object")).body == b"x"


async def test_a_late_write_meets_what_is_there_when_it_lands() -> None:
    store = MemoryStore()
    store.faults.add(Fault.LATE_WRITE)
    with pytest.raises(Unavailable):
        await store.put("object", b"late", condition=IF_ABSENT)
    await store.put("object", b"again", condition=IF_ABSENT)
    store.land_late_writes()
    assert (await store.get("object")).body == b"again"


async def test_a_late_write_without_condition_overwrites() -> None:
    store = MemoryStore()
    store.faults.add(Fault.LATE_WRITE)
    with pytest.raises(Unavailable):
        await store.put("object", b"late")
    await store.put("object", b"again")
    store.land_late_writes()
    assert (await store.get("object")).body == b"late"


async def test_a_held_request_waits_for_its_release_and_then_meets_the_world_as_it_is() -> None:
    store = MemoryStore()
    store.faults.add(Fault.HELD, operation="put")
    paused = asyncio.create_task(store.put("object", b"paused", condition=IF_ABSENT))
    await asyncio.sleep(0.01)
    assert not paused.done()
    await store.put("object", b"other", condition=IF_ABSENT)
    store.faults.release()
    with pytest.raises(PreconditionFailed):
        await paused


async def test_a_rule_strikes_where_when_and_as_often_as_it_says() -> None:
    store = MemoryStore()
    rule = store.faults.add(Fault.UNAVAILABLE, operation="put", key="data/*", skip=2, times=2)
    outcomes = []
    for number in range(6):
        await store.put(f"ledger/{number}", b"x")
        try:
            await store.put(f"data/ws=a/{number}", b"x")
            outcomes.append("done")
        except Unavailable:
            outcomes.append("failed")
    assert outcomes == ["done", "done", "failed", "failed", "done", "done"]
    assert rule.hits == 2
    assert [(one.operation, one.key) for one in store.faults.injected] == [
        ("put", "data/ws=a/2"),
        ("put", "data/ws=a/3"),
    ]


async def test_a_deletion_may_keep_some_keys() -> None:
    store = MemoryStore()
    for key in "abc":
        await store.put(key, b"x")
    store.faults.add(Fault.KEPT, key="b")
    kept = await store.delete(["a", "b", "c"])
    assert set(kept) == {"b"}
    assert await held(store) == ["b"]


@pytest.mark.parametrize(("fault", "left"), [(Fault.LOST_RESPONSE, []), (Fault.SLOW_DOWN, ["a", "b"])])
async def test_a_deletion_whose_answer_is_lost(fault: Fault, left: list[str]) -> None:
    store = MemoryStore()
    for key in "ab":
        await store.put(key, b"x")
    store.faults.add(fault, operation="delete")
    with pytest.raises(Unavailable):
        await store.delete(["a", "b"])
    assert await held(store) == left


async def test_a_list_may_fail_between_its_pages() -> None:
    store = MemoryStore()
    for number in range(1001):
        await store.put(f"{number:04d}", b"x")
    store.faults.add(Fault.SERVER_ERROR, operation="list", skip=1)
    seen = []
    with pytest.raises(Unavailable):
        async for stat in store.list(""):
            seen.append(stat.key)
    assert len(seen) == 1000


async def test_requests_are_counted_as_a_server_would() -> None:
    store = MemoryStore()
    for number in range(1001):
        await store.put(f"{number:04d}", b"x")
    keys = [stat.key async for stat in store.list("")]
    await store.get(keys[0])
    await store.delete(keys)
    assert store.requests == {"put": 1001, "list": 2, "get": 1, "delete": 2}
    assert store.requests.total() == 1006


async def storm(seed: int) -> tuple[list[tuple[str, str]], list[str]]:
    store = MemoryStore(faults=Faults(seed))
    store.faults.storm(0.3)
    for number in range(200):
        try:
            await store.put(f"{number}", b"x", condition=IF_ABSENT)
        except StrongroomError:
            continue
    return [(one.key, one.fault.name) for one in store.faults.injected], await held(store)


async def test_a_storm_is_the_same_for_the_same_seed_and_brings_every_fault() -> None:
    faults, left = await storm(7)
    assert (faults, left) == await storm(7)
    assert faults != (await storm(8))[0]
    assert {fault for _, fault in faults} == {fault.name for fault in PASSING}
