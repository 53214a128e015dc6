"""The keystore over buckets that fail: nothing is used before it is durable, nothing stays half done."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.contract.keystore.world import NEIGHBOUR, NOW, UNIT, agree, bodies, fast, patient, replicas, worker
from workers.errors import Fatal, Retryable
from workers.sealing.refusals import KeyDisabled, KeyShredded
from workers.sealing.rows import State, UnitRow, decode, encode, marker_of, unit_row, workspace_row
from workers.sealing.tombstones import LOG
from workers.sealing.withdraw import disable, tombstone
from workers.store.faults import PASSING, Fault, Faults
from workers.store.memory import MemoryStore

ROW = unit_row(UNIT)
WRITES = [fault for fault in PASSING if "put" in fault.operations]


def pair(*, seed: int = 0) -> list[MemoryStore]:
    return [MemoryStore("first", faults=Faults(seed)), MemoryStore("second", faults=Faults(seed + 1))]


def state_of(body: bytes) -> State:
    return decode(body, ROW, ROW).state


@pytest.mark.parametrize("fault", PASSING, ids=lambda fault: fault.name)
@pytest.mark.parametrize("broken", [0, 1], ids=["first", "second"])
async def test_whichever_request_fails_the_key_is_made_once(fault: Fault, broken: int) -> None:
    struck = True
    skip = 0
    while struck:
        stores = pair()
        rule = stores[broken].faults.add(fault, skip=skip, lands_after=2)
        maker = worker(stores)
        key = await patient(maker, UNIT)
        struck, skip = rule.hits > 0, skip + 1
        for store in stores:
            store.faults.clear()
            store.land_late_writes()
        assert agree(key, await patient(worker(stores), UNIT), await patient(maker, UNIT))
        for name in (ROW, workspace_row("acme")):
            assert len(set(await bodies(stores, name))) == 1
    assert skip > 2  # each of its requests had its turn, writes two


@pytest.mark.parametrize("seed", range(12))
async def test_workers_in_a_storm_agree(seed: int) -> None:
    stores = pair(seed=seed)
    for store in stores:
        store.faults.storm(0.3)
    units = [UNIT, NEIGHBOUR, UNIT._replace(workspace="rival")]
    workers = [worker(stores) for _ in range(3)]
    keys = await asyncio.gather(*(patient(one, unit) for one in workers for unit in units))
    for store in stores:
        store.faults.clear()
        store.land_late_writes()
    fresh = worker(stores)
    for unit in units:
        mine = [key for key in keys if key.unit == unit]
        assert agree(*mine, await patient(fresh, unit))
        assert len(set(await bodies(stores, unit_row(unit)))) == 1


async def test_a_key_is_not_used_before_the_second_bucket_has_it() -> None:
    stores = pair()
    down = stores[1].faults.add(Fault.UNAVAILABLE, operation="put", times=None)
    with pytest.raises(Retryable, match="second"):
        await worker(stores).unit_key(UNIT, create=True)
    down.times = 0
    key = await patient(worker(stores), UNIT)
    assert agree(key, await patient(worker(stores[:1]), UNIT), await patient(worker(stores[1:]), UNIT))


async def test_the_winner_may_die_before_the_second_bucket_has_its_row() -> None:
    stores = pair()
    await patient(worker(stores[:1]), UNIT)  # as if the worker had died between the buckets
    first = await bodies(stores[:1], ROW)
    await patient(worker(stores), UNIT)
    assert await bodies(stores, ROW) == first * 2


async def test_a_lost_bucket_is_filled_from_the_other() -> None:
    for lost in (0, 1):
        stores = pair()
        key = await patient(worker(stores), UNIT)
        stores[lost] = MemoryStore("new")
        assert agree(key, await patient(worker(stores), UNIT), await patient(worker([stores[lost]]), UNIT))


async def test_a_reader_finds_a_row_that_the_first_bucket_lost_and_repairs_nothing() -> None:
    stores = pair()
    key = await patient(worker(stores), UNIT)
    stores[0] = MemoryStore("new")
    assert agree(key, await patient(worker(stores), UNIT, create=False))
    assert stores[0].requests["put"] == 0


async def test_a_reader_does_not_fall_back_while_the_first_bucket_is_down() -> None:
    """The second may not have heard yet of what the first has withdrawn."""
    stores = pair()
    await patient(worker(stores), UNIT)
    await disable(replicas(stores[:1]), [ROW], NOW)
    reader = worker(stores)
    await reader.poll()
    stores[0].faults.add(Fault.UNAVAILABLE, times=None)
    with pytest.raises(Retryable):
        await reader.unit_key(UNIT, create=False)


@pytest.mark.parametrize("older", [0, 1], ids=["first", "second"])
async def test_of_two_copies_the_later_one_counts(older: int) -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    [before, _] = await bodies(stores, ROW)
    await disable(replicas(stores), [ROW], NOW)
    await stores[older].put(ROW, before)
    with pytest.raises(KeyDisabled):
        await patient(worker(stores), UNIT)
    assert [state_of(body) for body in await bodies(stores, ROW)] == [State.DISABLED] * 2


async def test_two_keys_under_one_name_stop_everything() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    other = pair()
    await patient(worker(other), UNIT)
    await stores[1].put(ROW, (await other[1].get(ROW)).body)
    with pytest.raises(Fatal, match=r"first and second hold different rows at .*clock=main"):
        await patient(worker(stores), UNIT)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b"\xff", b'{"kind":"unit"}'])
async def test_a_row_that_is_none_stops_everything_and_names_it(garbage: bytes) -> None:
    [store] = stores = [MemoryStore()]
    await patient(worker(stores), UNIT)
    await store.put(ROW, garbage)
    with pytest.raises(Fatal, match=r"memory/keys/v1/ws=acme/.* is no key row"):
        await patient(worker(stores), UNIT)


async def test_a_row_of_a_later_format_names_the_remedy() -> None:
    [store] = stores = [MemoryStore()]
    await patient(worker(stores), UNIT)
    body = (await store.get(ROW)).body
    await store.put(ROW, body.replace(b'"format":1', b'"format":2'))
    with pytest.raises(Fatal, match="format 2"):
        await patient(worker(stores), UNIT)


@pytest.mark.parametrize("name", [ROW, workspace_row("acme")])
async def test_an_altered_wrapping_stops_everything_and_names_it(name: str) -> None:
    [store] = stores = [MemoryStore()]
    await patient(worker(stores), UNIT)
    body = (await store.get(name)).body
    found = re.search(rb"[A-Za-z0-9+/]{60,}", body)
    assert found is not None
    at = found.start() + 50
    await store.put(name, body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :])
    with pytest.raises(Fatal, match="was altered"):
        await patient(worker(stores), UNIT)


Change = Callable[..., Coroutine[Any, Any, None]]


@pytest.mark.parametrize("change", [disable, tombstone])
@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, *WRITES], ids=lambda fault: fault.name)
@pytest.mark.parametrize("broken", [0, 1], ids=["first", "second"])
async def test_wherever_a_withdrawal_is_cut_off_it_is_finished_later(
    change: Change, fault: Fault, broken: int
) -> None:
    struck = True
    skip = 0
    while struck:
        stores = pair()
        await patient(worker(stores), UNIT)
        rule = stores[broken].faults.add(fault, skip=skip, lands_after=2)
        await fast().call(lambda stores=stores: change(replicas(stores), [ROW], NOW))  # type: ignore[misc]  # bound early
        struck, skip = rule.hits > 0, skip + 1
        for store in stores:
            store.faults.clear()
            store.land_late_writes()
        with pytest.raises(KeyDisabled if change is disable else KeyShredded):
            await patient(worker(stores), UNIT)
        assert len(set(await bodies(stores, ROW))) == 1
        for store in stores:
            assert [stat async for stat in store.list(LOG.prefix)]
            if change is tombstone:
                await store.stat(marker_of(ROW))
    assert skip > 2


@pytest.mark.parametrize("seed", range(8))
async def test_withdrawals_in_a_storm_are_all_in_the_log(seed: int) -> None:
    stores = pair(seed=seed)
    units = [UNIT._replace(source=f"source-{number}") for number in range(6)]
    for unit in units:
        await patient(worker(stores), unit)
    reader = worker(stores)
    held = [await patient(reader, unit) for unit in units]
    for store in stores:
        store.faults.storm(0.25)
    await asyncio.gather(
        *(
            fast().call(lambda unit=unit: tombstone(replicas(stores), [unit_row(unit)], NOW))  # type: ignore[misc]  # bound early
            for unit in units
        )
    )
    for store in stores:
        store.faults.clear()
        store.land_late_writes()
    await reader.poll()
    for key in held:
        with pytest.raises(Retryable, match="withdrawn"):
            key.check()
    for unit in units:
        with pytest.raises(KeyShredded):
            await patient(reader, unit)


async def test_a_deleted_log_entry_validates_nothing() -> None:
    [store] = stores = [MemoryStore()]
    reader = worker(stores)
    await patient(reader, UNIT)
    await tombstone(replicas(stores), [ROW], NOW)
    store.faults.add(Fault.NOT_FOUND, operation="get", key=f"{LOG.prefix}*", times=None)
    with pytest.raises(Retryable, match="tombstone log is not found"):
        await reader.poll()


async def test_garbage_in_the_log_stops_everything_and_names_it() -> None:
    [store] = stores = [MemoryStore()]
    reader = worker(stores)
    await reader.poll()
    await store.put(LOG.name(1), b"{}")
    with pytest.raises(Fatal, match="no entry of the tombstone log"):
        await reader.poll()


async def test_a_row_revived_in_one_bucket_does_not_beat_its_tombstone() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    await tombstone(replicas(stores), [ROW], NOW)
    forged = UnitRow(
        workspace="acme", source="web", day="2026-11-25", clock="main", changed_at=NOW,
        revision=99, generation=1, under=1, wrapped="AAAA",
    )  # fmt: skip
    await stores[1].put(ROW, encode(forged))
    for store in stores:
        await store.delete([marker_of(ROW)])
    with pytest.raises(KeyShredded):
        await patient(worker(stores), UNIT)
    assert [state_of(body) for body in await bodies(stores, ROW)] == [State.TOMBSTONE] * 2


@pytest.mark.parametrize("buckets", [1, 2])
async def test_a_change_that_was_under_way_when_the_row_was_shredded_fails(buckets: int) -> None:
    """It had read the row as it was before: its write must not bring the key back."""
    stores = pair()[:buckets]
    await patient(worker(stores), UNIT)
    stores[0].faults.add(Fault.HELD, operation="put", key=ROW)
    late = asyncio.create_task(disable(replicas(stores), [ROW], NOW))
    await asyncio.sleep(0.01)
    await tombstone(replicas(stores), [ROW], NOW)
    stores[0].faults.clear()
    with pytest.raises(KeyShredded):
        await late
    assert [state_of(body) for body in await bodies(stores, ROW)] == [State.TOMBSTONE] * buckets


async def test_a_repair_that_was_under_way_when_the_row_was_shredded_fails() -> None:
    stores = pair()
    written: list[State] = []

    class Second(MemoryStore):
        async def put(self, key: str, body: bytes, **options: Any) -> str:
            etag = await super().put(key, body, **options)
            if key == ROW:
                written.append(state_of(body))
            return etag

    stores[1] = Second("second")
    await patient(worker(stores), UNIT)
    await disable(replicas(stores[:1]), [ROW], NOW)  # and died before the second bucket
    stores[1].faults.add(Fault.HELD, operation="put", key=ROW)
    late = asyncio.create_task(patient(worker(stores), UNIT))  # carries the disabled row over
    await asyncio.sleep(0.01)
    await tombstone(replicas(stores), [ROW], NOW)
    stores[1].faults.clear()
    with pytest.raises(KeyShredded):
        await late
    assert written == [
        State.ACTIVE,
        State.DISABLED,
        State.TOMBSTONE,
    ]  # the second was the shredder's own repair


def test_one_bucket_twice_is_not_two() -> None:
    with pytest.raises(Fatal, match="both keystore buckets are memory"):
        worker([MemoryStore(), MemoryStore()])
