"""What the keystore keeps, for how long, and how it learns that a key was withdrawn."""

import asyncio

import pytest

from tests.contract.keystore.world import NEIGHBOUR, NOW, ROOT, UNIT, Uptime, agree, patient, replicas, worker
from workers.errors import Poison, Retryable
from workers.sealing import tombstones
from workers.sealing.keys import Level, Secret, Unit, WrappingKey, new_key
from workers.sealing.refusals import KeyDisabled, KeyExpired, KeyShredded
from workers.sealing.rows import (
    State,
    UnitRow,
    WorkspaceKey,
    WorkspaceRow,
    encode,
    marker_of,
    to_text,
    unit_row,
    workspace_row,
)
from workers.sealing.withdraw import disable, enable, tombstone
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import IF_ABSENT, Unavailable

ROW = unit_row(UNIT)


async def test_a_warm_key_asks_nobody() -> None:
    store = MemoryStore()
    keystore = worker([store])
    key = await patient(keystore, UNIT)
    asked = store.requests.total()
    for _ in range(1000):
        assert await keystore.unit_key(UNIT, create=True) is key
    assert store.requests.total() == asked


async def test_a_new_days_rows_cost_a_bounded_number_of_requests() -> None:
    """docs/architecture.md, Invariants, 8: a flush may add what a new day's rows need, and no more."""
    store = MemoryStore()
    keystore = worker([store])
    await patient(keystore, UNIT)
    before = store.requests.total()
    units = [UNIT._replace(source=f"source-{number}") for number in range(200)]
    await asyncio.gather(*(keystore.unit_key(unit, create=True) for unit in units))
    assert store.requests.total() - before == 3 * len(units)  # is it there, is it marked, make it


async def test_many_who_ask_at_once_make_one_load() -> None:
    store = MemoryStore()
    keystore = worker([store])
    keys = await asyncio.gather(*(keystore.unit_key(UNIT, create=True) for _ in range(100)))
    assert len(set(map(id, keys))) == 1
    assert store.requests["put"] == 2  # the workspace's row and the unit's


async def test_no_more_requests_at_once_than_allowed() -> None:
    under_way = most = 0

    class Counting(MemoryStore):
        async def put(self, *args: object, **options: object) -> str:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await super().put(*args, **options)  # type: ignore[arg-type]  # as they came
            finally:
                under_way -= 1

    keystore = worker([Counting()])
    units = [UNIT._replace(source=f"source-{number}") for number in range(100)]
    await asyncio.gather(*(keystore.unit_key(unit, create=True) for unit in units))
    assert 2 < most <= 8


async def test_one_who_gives_up_does_not_end_the_load_of_the_others() -> None:
    store = MemoryStore()
    store.faults.add(Fault.HELD, operation="get", key=ROW)
    keystore = worker([store])
    hasty = asyncio.create_task(keystore.unit_key(UNIT, create=True))
    steady = asyncio.create_task(keystore.unit_key(UNIT, create=True))
    await asyncio.sleep(0.01)
    hasty.cancel()
    await asyncio.sleep(0)
    store.faults.clear()
    assert (await steady).unit == UNIT
    with pytest.raises(asyncio.CancelledError):
        await hasty


async def test_a_withdrawn_key_goes_at_the_next_look_also_from_who_holds_it() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock)
    key, neighbour = await patient(keystore, UNIT), await patient(keystore, NEIGHBOUR)
    await tombstone(replicas([store]), [ROW], NOW)
    clock.now += 59
    key.check()  # nobody has looked yet: this is what the life is for
    clock.now += 1
    assert await keystore.unit_key(NEIGHBOUR, create=True) is neighbour  # this looks
    with pytest.raises(KeyExpired, match="withdrawn"):
        key.check()
    with pytest.raises(KeyShredded):
        await keystore.unit_key(UNIT, create=True)


async def test_a_disabled_key_goes_and_comes_back() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock)
    await patient(keystore, UNIT)
    await disable(replicas([store]), [ROW], NOW)
    clock.now += 60
    with pytest.raises(KeyDisabled):
        await keystore.unit_key(UNIT, create=True)
    await enable(replicas([store]), [ROW], NOW)
    assert (await keystore.unit_key(UNIT, create=True)).unit == UNIT


async def test_a_withdrawn_workspace_takes_its_units_along() -> None:
    store = MemoryStore()
    keystore = worker([store])
    key = await patient(keystore, UNIT)
    rival = await patient(keystore, UNIT._replace(workspace="rival"))
    await tombstone(replicas([store]), [workspace_row("acme")], NOW)
    await keystore.poll()
    with pytest.raises(KeyExpired):
        key.check()
    rival.check()
    with pytest.raises(KeyShredded):
        await keystore.unit_key(NEIGHBOUR, create=True)


async def test_an_unreachable_keystore_is_bridged_for_a_life_and_no_longer() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock)
    key = await patient(keystore, UNIT)
    sealed = key.seal(b"plain", "data/one")
    store.faults.add(Fault.UNAVAILABLE, times=None)
    clock.now += 299
    assert await keystore.unit_key(UNIT, create=True) is key
    with pytest.raises(Unavailable):
        await keystore.unit_key(NEIGHBOUR, create=True)
    assert key.open(*sealed, "data/one") == b"plain"
    clock.now += 2
    for _ in range(3):
        with pytest.raises(Retryable):
            await keystore.unit_key(UNIT, create=True)
    with pytest.raises(KeyExpired):
        key.seal(b"plain", "data/one")
    with pytest.raises(KeyExpired):
        key.open(*sealed, "data/one")
    store.faults.clear()
    clock.now += 5
    again = await keystore.unit_key(UNIT, create=True)
    assert again.open(*sealed, "data/one") == b"plain"


async def test_an_unreachable_keystore_is_not_asked_at_every_flush() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock)
    await patient(keystore, UNIT)
    store.faults.add(Fault.UNAVAILABLE, times=None)
    clock.now += 60
    before = store.requests.total()
    for _ in range(100):
        await keystore.unit_key(UNIT, create=True)
    assert store.requests.total() == before + 1


async def test_the_life_counts_from_before_the_look_not_from_its_answer() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock)
    key = await patient(keystore, UNIT)
    clock.now += 60
    store.faults.add(Fault.HELD, operation="list")
    look = asyncio.create_task(keystore.poll())
    await asyncio.sleep(0.01)
    clock.now += 100
    store.faults.clear()
    await look
    clock.now += 200
    key.check()
    clock.now += 1
    with pytest.raises(KeyExpired):
        key.check()


@pytest.mark.parametrize(
    ("what", "held"),
    [(ROW, ROW), (workspace_row("acme"), ROW), (workspace_row("acme"), workspace_row("acme"))],
    ids=["unit", "workspace, while the unit is read", "workspace, while it is read"],
)
async def test_a_key_shredded_while_it_is_loaded_is_not_kept(what: str, held: str) -> None:
    store = MemoryStore()
    await patient(worker([store]), UNIT)
    keystore = worker([store])
    await keystore.poll()
    store.faults.add(Fault.HELD, operation="stat", key=marker_of(held))
    load = asyncio.create_task(keystore.unit_key(UNIT, create=False))
    await asyncio.sleep(
        0.01
    )  # the row was read, its marker is still being asked for: the answer will be "none"
    await tombstone(replicas([store]), [what], NOW)
    await store.delete([marker_of(what)])
    await keystore.poll()
    store.faults.clear()
    with pytest.raises(KeyShredded):
        await load


async def test_more_news_than_can_be_read_makes_everything_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tombstones, "READ_AT_MOST", 3)
    store = MemoryStore()
    keystore = worker([store])
    key, neighbour = await patient(keystore, UNIT), await patient(keystore, NEIGHBOUR)
    for number in range(5):
        await tombstones.append([store], [f"{ROW}{number}"], State.DISABLED, NOW)
    gets = store.requests["get"]
    await keystore.poll()
    assert store.requests["get"] == gets
    for held in (key, neighbour):
        with pytest.raises(KeyExpired):
            held.check()
    assert agree(await patient(keystore, UNIT))
    await tombstone(replicas([store]), [ROW], NOW)
    await keystore.poll()
    with pytest.raises(KeyShredded):
        await keystore.unit_key(UNIT, create=True)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 7, 8, 9, 40])
async def test_the_end_of_the_log_is_found_in_few_requests(length: int) -> None:
    store = MemoryStore()
    for _ in range(length):
        await tombstones.append([store], [ROW], State.DISABLED, NOW)
    before = store.requests.total()
    assert await tombstones.LOG.first_free(store) == length + 1
    assert store.requests.total() - before <= 2 * max(length, 1).bit_length() + 2


async def test_a_hole_in_the_log_hides_nothing_that_comes_after() -> None:
    store = MemoryStore()
    for _ in range(9):
        await tombstones.append([store], [ROW], State.DISABLED, NOW)
    await store.delete([tombstones.LOG.name(seq) for seq in (2, 4)])
    keystore = worker([store])
    key = await patient(keystore, UNIT)
    body = b'{"rows":["%s"],"state":"disabled","at":1,"id":"x","format":1}' % ROW.encode()
    await store.put(tombstones.LOG.name(10), body, condition=IF_ABSENT)
    await keystore.poll()
    with pytest.raises(KeyExpired):
        key.check()


async def test_no_more_keys_are_kept_than_allowed_and_a_dropped_one_dies_with_its_life() -> None:
    store, clock = MemoryStore(), Uptime()
    keystore = worker([store], clock=clock, units_max=2)
    dropped = await patient(keystore, UNIT)
    await patient(keystore, NEIGHBOUR)
    await patient(keystore, UNIT._replace(source="app"))
    before = store.requests["get"]
    await keystore.unit_key(NEIGHBOUR, create=True)
    assert store.requests["get"] == before
    clock.now += 100
    await keystore.poll()  # which can no longer tell the dropped key anything
    dropped.check()
    clock.now += 201
    with pytest.raises(KeyExpired):
        dropped.check()
    await keystore.unit_key(UNIT, create=True)
    assert store.requests["get"] > before


async def test_a_key_asked_for_to_read_is_made_durable_before_it_seals() -> None:
    stores, clock = [MemoryStore("first"), MemoryStore("second")], Uptime()
    await patient(worker(stores[:1]), UNIT)
    keystore = worker(stores, clock=clock)
    reading = await keystore.unit_key(UNIT, create=False)
    assert not reading.durable
    assert stores[1].requests["put"] == 0
    sealing = await keystore.unit_key(UNIT, create=True)
    assert agree(sealing, reading, await patient(worker(stores[1:]), UNIT))
    assert await keystore.unit_key(UNIT, create=False) is sealing
    clock.now += 100
    await keystore.poll()
    clock.now += 201
    sealing.check()
    with pytest.raises(KeyExpired):  # nobody keeps the replaced one any more, so nobody could withdraw it
        reading.check()


@pytest.mark.parametrize(
    "unit",
    [
        UNIT._replace(workspace="a/b"),
        UNIT._replace(workspace=""),
        UNIT._replace(source="../x"),
        UNIT._replace(source="s" * 65),
        UNIT._replace(day="2026-02-30"),
        UNIT._replace(day="20261125"),
        UNIT._replace(day="2026-11-25\n"),
        UNIT._replace(clock="x"),  # type: ignore[arg-type]  # as a caller might who got it from outside
    ],
)
async def test_what_can_have_no_name_has_no_key(unit: Unit) -> None:
    store = MemoryStore()
    with pytest.raises(Poison):
        await worker([store]).unit_key(unit, create=True)
    assert store.requests["put"] == 0


async def test_rows_under_a_newer_generation_of_the_workspaces_key_are_found() -> None:
    """As another worker's rotation leaves them: this one has the older generation in its cache."""
    store = MemoryStore()
    keystore = worker([store])
    await patient(keystore, UNIT)
    first = await keystore._workspaces.keys("acme", create=True)
    second, unit_key = new_key(), new_key()
    keys = []
    for number, key in ((1, first.by_generation[1]), (2, second)):
        context = {"generation": str(number), "purpose": "strongroom-l1", "workspace": "acme"}
        keys.append(WorkspaceKey(number, {ROOT.fingerprint: to_text(await ROOT.wrap(key, context))}))
    row = WorkspaceRow(
        workspace="acme",
        changed_at=NOW,
        revision=2,
        current=2,
        keys=tuple(keys),
    )
    await store.put(workspace_row("acme"), encode(row))
    wrapping = WrappingKey(second, Level.UNIT, workspace="acme", day=NEIGHBOUR.day, generation=2)
    context = {
        "clock": "main", "day": NEIGHBOUR.day, "generation": "1", "source": "web", "workspace": "acme"
    }  # fmt: skip
    unit = UnitRow(
        workspace="acme", source="web", day=NEIGHBOUR.day, clock="main", changed_at=NOW,
        generation=1, under=2, wrapped=to_text(wrapping.wrap(Secret(unit_key), context)),
    )  # fmt: skip
    await store.put(unit_row(NEIGHBOUR), encode(unit))
    assert agree(await keystore.unit_key(NEIGHBOUR, create=True), await patient(worker([store]), NEIGHBOUR))
    newer = await keystore.unit_key(UNIT._replace(source="app"), create=True)
    assert agree(newer, await patient(worker([store]), newer.unit))
    assert b'"under":2' in (await store.get(unit_row(newer.unit))).body


async def test_preparing_says_what_is_left_and_leaves_the_withdrawn_alone() -> None:
    store = MemoryStore()
    await tombstone(replicas([store]), [ROW], NOW)
    keystore = worker([store])
    down = store.faults.add(Fault.UNAVAILABLE, operation="put", key=f"*{NEIGHBOUR.day}*", times=None)
    later = UNIT._replace(day="2026-11-27")
    assert await keystore.prepare([UNIT, NEIGHBOUR, later]) == 1
    down.times = 0
    assert await keystore.prepare([UNIT, NEIGHBOUR, later]) == 0
    await patient(worker([store]), NEIGHBOUR, create=False)
