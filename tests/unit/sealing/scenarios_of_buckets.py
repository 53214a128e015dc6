"""Buckets that are down, that disagree, or that are not two: nothing is sealed or opened meanwhile."""

from tests.contract.keystore.world import NOW, UNIT, bodies, replicas, worker
from tests.unit.sealing.cases import refused
from tests.unit.sealing.world import NAME, ROW, WORKSPACE, World
from workers.sealing.replicas import Replicas
from workers.sealing.rows import Row, marker_of
from workers.sealing.tombstones import LOG
from workers.sealing.withdraw import disable
from workers.store.faults import Fault
from workers.store.memory import MemoryStore

DOWN = (Fault.UNAVAILABLE,)


def unlucky(name: str, operation: str, key: str = ROW) -> MemoryStore:
    """Answers 412 to each PUT, or 404 to each GET, of a key."""
    store = MemoryStore(name)
    fault = Fault.REFUSED if operation == "put" else Fault.NOT_FOUND
    store.faults.add(fault, operation=operation, key=key, times=None)
    return store


@refused("buckets: the first is down, to read what the second has", "Unavailable")
async def no_falling_back() -> None:
    world = await World().begin()
    await disable(replicas(world.stores[:1]), [ROW], NOW)
    world.stores[0].faults.add(*DOWN, operation="get", times=None)
    await world.read()


@refused("buckets: the second is down, to seal under a new key", "Unavailable")
async def second_down() -> None:
    world = await World().begin()
    world.stores[1].faults.add(*DOWN, operation="put", times=None)
    await world.write(UNIT._replace(source="app"))


for row in (ROW, WORKSPACE):

    @refused(f"buckets: the second can't be given {row}, to seal under a key read before", "Unavailable")
    async def second_lacks(row: str = row) -> None:
        world = await World(buckets=1).begin()
        world.stores.append(MemoryStore("second"))
        world.stores[1].faults.add(*DOWN, operation="put", key=row, times=None)
        keystore = worker(world.stores)
        await keystore.unit_key(UNIT, create=False)
        unit = UNIT if row == ROW else UNIT._replace(source="app")
        (await keystore.unit_key(unit, create=True)).seal(b"x", NAME)


@refused("buckets: the marker can't be asked for, to read", "Unavailable")
async def marker_unknown() -> None:
    world = await World().begin()
    before = await bodies(world.stores, ROW)
    await world.shred(ROW)
    await world.put_back(ROW, before)
    world.stores[0].faults.add(*DOWN, operation="stat", key=marker_of(ROW), times=None)
    await world.read()


@refused("buckets: one twice", "Fatal")
async def one_twice() -> None:
    replicas([MemoryStore("one"), MemoryStore("one")])


for count in (0, 3):

    @refused(f"buckets: {count}", "ValueError")
    async def so_many(count: int = count) -> None:
        Replicas([MemoryStore(str(number)) for number in range(count)], requests=1)


@refused("buckets: a name taken, then not found", "Unavailable")
async def taken_then_gone() -> None:
    world = World(buckets=1)
    world.stores = [unlucky("first", "put")]
    await worker(world.stores).unit_key(UNIT, create=True)


@refused("buckets: a row that others keep changing", "Unavailable")
async def kept_changing() -> None:
    world = await World(buckets=1).begin()
    world.stores[0].faults.add(Fault.REFUSED, operation="put", key=ROW, times=None)

    def edit(row: Row | None) -> Row | None:
        return row

    await replicas(world.stores).changed(ROW, edit)


@refused("buckets: a second one that others keep changing", "Unavailable")
async def second_kept_changing() -> None:
    world = await World().begin()
    world.stores[1] = unlucky("second", "put")
    await replicas(world.stores).settled(ROW)


@refused("log: another entry in the second bucket's place", "Fatal")
async def other_log() -> None:
    world = await World().begin()
    await world.stores[1].put(LOG.name(1), b"{}")
    await disable(replicas(world.stores), [ROW], NOW)


@refused("log: an entry that is listed and not found", "Unavailable")
async def log_with_a_hole() -> None:
    world = await World().begin()
    keystore = worker(world.stores)
    await keystore.poll()
    await disable(replicas(world.stores), [ROW], NOW)
    world.stores[0].faults.add(Fault.NOT_FOUND, operation="get", key=f"{LOG.prefix}*", times=None)
    await keystore.poll()


@refused("log: an entry that is none", "Fatal")
async def log_of_garbage() -> None:
    world = await World().begin()
    keystore = worker(world.stores)
    await keystore.poll()
    await world.stores[0].put(LOG.name(1), b"{}")
    await keystore.poll()


@refused("withdrawing: a key that is not there", "NoSuchKey")
async def nothing_to_disable() -> None:
    await disable(replicas(World().stores), [ROW], NOW)
