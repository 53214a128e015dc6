"""Keys withdrawn while somebody holds, loads, makes or changes them, and buckets that fail or disagree."""

import asyncio
from contextlib import suppress

import msgspec

from tests.contract.keystore.world import NEIGHBOUR, NOW, UNIT, Uptime, bodies, replicas, worker
from tests.unit.sealing.cases import refused
from tests.unit.sealing.world import NAME, NEIGHBOUR_ROW, PLAIN, RIVAL, ROW, WORKSPACE, World
from workers.sealing import tombstones
from workers.sealing.root import FileRoot
from workers.sealing.rows import State, marker_of
from workers.sealing.withdraw import disable, disable_at
from workers.store.faults import Fault, Rule
from workers.store.port import Unavailable

DOWN = (Fault.UNAVAILABLE,)


async def arrived(rule: Rule) -> None:
    """Until a request has met `rule`, and is held."""
    while not rule.hits:  # noqa: ASYNC110 # the store sets no event, and a turn of the loop is all it takes
        await asyncio.sleep(0)


async def overflow(world: World) -> None:
    """More entries in the tombstone log than anybody reads at once."""
    entry = tombstones.Withdrawal(rows=(NEIGHBOUR_ROW,), state=State.DISABLED, at=NOW, id="x")
    for seq in range(tombstones.READ_AT_MOST + 1):
        await world.stores[0].put(tombstones.LOG.name(seq + 1), msgspec.json.encode(entry))


for use in ("seal", "open"):
    for what, row in (("unit", ROW), ("workspace", WORKSPACE)):

        @refused(f"cache: its {what} shredded, the log read, to {use} with the key held", "KeyExpired")
        async def held(use: str = use, row: str = row) -> None:
            world = await World().begin()
            keystore = worker(world.stores)
            key = await keystore.unit_key(UNIT, create=True)
            rival = await keystore.unit_key(RIVAL, create=True)
            await world.shred(row)
            await keystore.poll()
            assert rival.open(*world.sealed[RIVAL], NAME) == PLAIN
            key.seal(b"x", NAME) if use == "seal" else key.open(*world.sealed[UNIT], NAME)

        @refused(f"cache: its {what} shredded, a look is due, to {use}", "KeyShredded")
        async def due(use: str = use, row: str = row) -> None:
            world, clock = await World().begin(), Uptime()
            keystore = worker(world.stores, clock=clock)
            await keystore.unit_key(UNIT, create=True)
            await world.shred(row)
            clock.now += 60
            await keystore.unit_key(UNIT, create=use == "seal")


@refused("cache: a neighbour of a shredded workspace that was not loaded yet", "KeyShredded")
async def workspace_cached() -> None:
    world = await World().begin()
    keystore = worker(world.stores)
    await keystore.unit_key(UNIT, create=False)
    await world.shred(WORKSPACE)
    await keystore.poll()
    await keystore.unit_key(NEIGHBOUR, create=False)


@refused("cache: a key disabled, a look is due", "KeyDisabled")
async def disabled_meanwhile() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    await keystore.unit_key(UNIT, create=False)
    await disable(replicas(world.stores), [ROW], NOW)
    clock.now += 60
    await keystore.unit_key(UNIT, create=False)


@refused("cache: a key disabled at a revision, a look is due", "KeyDisabled")
async def disabled_at_meanwhile() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    await keystore.unit_key(UNIT, create=False)
    rows = replicas(world.stores)
    row = await rows.settled(ROW)
    assert row is not None
    assert await disable_at(rows, ROW, row.revision, NOW)
    clock.now += 60
    await keystore.unit_key(UNIT, create=False)


@refused("cache: its workspace shredded, a look is due, to derive", "KeyShredded")
async def derived_meanwhile() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    await keystore.derived("acme", b"for this alone")
    await world.shred(WORKSPACE)
    clock.now += 60
    await keystore.derived("acme", b"for this alone")


@refused("cache: more news than are read, to open with a key held", "KeyExpired")
async def much_news() -> None:
    world = await World().begin()
    keystore = worker(world.stores)
    key = await keystore.unit_key(UNIT, create=False)
    await overflow(world)
    await keystore.poll()
    key.open(*world.sealed[UNIT], NAME)


@refused("cache: more news than are read, a workspace's among them", "KeyShredded")
async def much_news_of_a_workspace() -> None:
    world = await World().begin()
    keystore = worker(world.stores)
    await keystore.unit_key(UNIT, create=False)
    await overflow(world)
    await world.shred(WORKSPACE)
    await keystore.poll()
    await keystore.unit_key(NEIGHBOUR, create=False)


@refused("cache: unreachable for longer than its life, to ask", "Unavailable")
async def unreachable() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    await keystore.unit_key(UNIT, create=True)
    for store in world.stores:
        store.faults.add(*DOWN, times=None)
    clock.now += 299
    await keystore.unit_key(UNIT, create=True)
    clock.now += 2
    await keystore.unit_key(UNIT, create=True)


@refused("cache: unreachable for longer than its life, to open with a key held", "KeyExpired")
async def unreachable_held() -> None:
    world, clock = await World().begin(), Uptime()
    key = await worker(world.stores, clock=clock).unit_key(UNIT, create=True)
    clock.now += 301
    key.open(*world.sealed[UNIT], NAME)


@refused("cache: its life counts from before the look", "KeyExpired")
async def slow_look() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    key = await keystore.unit_key(UNIT, create=True)
    rule = world.stores[0].faults.add(Fault.HELD, operation="list")
    look = asyncio.create_task(keystore.poll())
    await arrived(rule)
    clock.now += 100
    world.stores[0].faults.clear()
    await look
    clock.now += 201
    key.check()


@refused("cache: a key dropped for others, after its life", "KeyExpired")
async def dropped() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock, units_max=1)
    key = await keystore.unit_key(UNIT, create=True)
    await keystore.unit_key(NEIGHBOUR, create=True)
    clock.now += 100
    await keystore.poll()
    clock.now += 201
    key.check()


@refused("cache: a key replaced by one that may seal, after its life", "KeyExpired")
async def replaced() -> None:
    world, clock = await World().begin(), Uptime()
    keystore = worker(world.stores, clock=clock)
    key = await keystore.unit_key(UNIT, create=False)
    await keystore.unit_key(UNIT, create=True)
    clock.now += 100
    await keystore.poll()
    clock.now += 201
    key.check()


for what, row, at in (
    ("unit", ROW, ROW),
    ("workspace, while its unit is loaded", WORKSPACE, ROW),
    ("workspace, while it is loaded", WORKSPACE, WORKSPACE),
):

    @refused(f"race: shredded {what}", "KeyShredded")
    async def while_loaded(row: str = row, at: str = at) -> None:
        world = await World(buckets=1).begin()
        keystore = worker(world.stores)
        await keystore.poll()
        # the row was read, its marker is still asked for: the answer will be "none"
        rule = world.stores[0].faults.add(Fault.HELD, operation="stat", key=marker_of(at))
        load = asyncio.create_task(keystore.unit_key(UNIT, create=False))
        await arrived(rule)
        await world.shred(row)
        await world.forget_markers(row)
        await keystore.poll()
        world.stores[0].faults.clear()
        await load


@refused("race: shredded before its first row is written", "KeyShredded")
async def while_made() -> None:
    world = await World(buckets=1).begin()
    unit = UNIT._replace(source="app")
    name = ROW.replace("src=web", "src=app")
    rule = world.stores[0].faults.add(Fault.HELD, operation="put", key=name)
    make = asyncio.create_task(worker(world.stores).unit_key(unit, create=True))
    await arrived(rule)
    await world.shred(name)
    world.stores[0].faults.clear()
    await make


@refused("race: shredded while its row is changed", "KeyShredded")
async def while_changed() -> None:
    world = await World(buckets=1).begin()
    rule = world.stores[0].faults.add(Fault.HELD, operation="put", key=ROW)
    change = asyncio.create_task(disable(replicas(world.stores), [ROW], NOW))
    await arrived(rule)
    await world.shred(ROW)
    await world.forget_markers(ROW)
    world.stores[0].faults.clear()
    await change


@refused("race: shredded while its row is carried over to the second bucket", "KeyShredded")
async def while_carried_over() -> None:
    world = await World().begin()
    await disable(replicas(world.stores[:1]), [ROW], NOW)  # and died before the second bucket
    world.stores[1].faults.add(Fault.LATE_WRITE, operation="put", key=ROW)
    with suppress(Unavailable):
        await replicas(world.stores).settled(ROW)
    await world.shred(ROW)
    world.stores[1].land_late_writes()
    await world.forget_markers(ROW)
    await world.stores[0].delete([ROW])
    await world.read()


@refused("race: two of one new unit, in two buckets that must agree", "Fatal")
async def two_keys() -> None:
    world, other = await World().begin(), await World().begin()
    await world.stores[1].put(ROW, (await bodies(other.stores, ROW))[1])
    await world.write()


@refused("preparing: under another root", "Fatal")
async def prepare_with_another_root() -> None:
    world = await World().begin()
    await worker(world.stores, root=FileRoot(b"x" * 32)).prepare([NEIGHBOUR._replace(source="app")])
