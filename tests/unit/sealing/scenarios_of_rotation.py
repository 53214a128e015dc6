"""Rotations that must not go on: of what is not there, is used up or spoilt, or can not be made final."""

from collections.abc import Callable

from tests.contract.keystore.world import NOW, ROOT, UNIT, replicas, worker
from tests.unit.sealing.cases import refused
from tests.unit.sealing.scenarios_of_rows import wrapped_in
from tests.unit.sealing.world import ROW, WORKSPACE, World
from workers.by import By
from workers.sealing.key_events import LOG, What, put_on_record
from workers.sealing.old_versions import purge_old_versions
from workers.sealing.replicas import Replicas
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.rotate import Rotation
from workers.sealing.rotate_root import rewrap_all
from workers.sealing.rows import Row, workspace_row
from workers.sealing.withdraw import disable, enable, tombstone
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

BY = By("ada", "desk", "a colleague left", NOW)
ONCE = Retry(attempts=1)


def rotation(world: World, workspace: str = "acme") -> Rotation:
    return Rotation(replicas(world.stores), Roots([ROOT]), workspace, retry=ONCE, now=lambda: NOW)


async def turned(stores: Replicas, *roots: FileRoot) -> None:
    await rewrap_all(stores, Roots(roots), retry=ONCE, now=lambda: NOW)


@refused("rotation: of a workspace that never was", "NoSuchKey")
async def never_was() -> None:
    await rotation(await World().begin(), "nobody").begun(BY)


@refused("rotation: of a workspace whose generations are used up", "Fatal")
async def used_up() -> None:
    world = await World().begin()
    await world.replace(
        WORKSPACE,
        lambda body: body.replace(b'"current":1', b'"current":65535').replace(
            b'"generation":1', b'"generation":65535'
        ),
    )
    await rotation(world).begun(BY)


@refused("rotation: of a unit under a generation that is not there", "Fatal")
async def stranded() -> None:
    world = await World().begin()
    await world.replace(ROW, lambda body: body.replace(b'"under":1', b'"under":7'))
    await rotation(world).rewrap()


@refused("rotation: of the root, by one that opens nothing", "Fatal")
async def wrong_root() -> None:
    world = await World().begin()
    await turned(replicas(world.stores), FileRoot(b"x" * 32))


@refused("rotation: of the root, over another workspace's key", "Fatal")
async def altered() -> None:
    world = await World().begin()
    alien = wrapped_in((await world.stores[0].get(workspace_row("rival"))).body)
    await world.replace(WORKSPACE, lambda body: body.replace(wrapped_in(body), alien))
    await turned(replicas(world.stores), ROOT, FileRoot(b"n" * 32))


@refused("rotation: of the root, of a row that others keep changing", "Unavailable")
async def kept_changing() -> None:
    world = await World(buckets=1).begin()

    class ChangedFirst(Replicas):
        turns = 0

        async def changed(self, name: str, edit: Callable[[Row | None], Row | None]) -> Row | None:
            other = enable if self.turns % 2 else disable
            self.turns += 1
            await other(replicas(world.stores), [name], NOW)
            return await super().changed(name, edit)

    await turned(ChangedFirst(world.stores, requests=8), ROOT, FileRoot(b"n" * 32))


@refused("rotation: old versions of a row that the bucket keeps", "Unavailable")
async def versions_stay() -> None:
    store = MemoryStore("first", versioned=True)
    for body in (b"old", b"new"):
        await store.put(ROW, body)
    store.faults.add(Fault.KEPT, operation="delete", key=ROW, times=None)
    await purge_old_versions(store, ROW)


@refused("shredded unit: while the bucket keeps an old version", "Unavailable")
async def shredded_in_vain() -> None:
    store = MemoryStore("first", versioned=True)
    await worker([store]).unit_key(UNIT, create=True)
    store.faults.add(Fault.KEPT, operation="delete", key=ROW, times=None)
    await tombstone(replicas([store]), [ROW], NOW)


@refused("rotation: that can't be put on record", "Unavailable")
async def unrecorded() -> None:
    world = await World().begin()
    world.stores[0].faults.add(Fault.UNAVAILABLE, operation="put", key=f"{LOG.prefix}*", times=None)
    await put_on_record(world.stores, What.ROTATION_BEGUN, [WORKSPACE], BY)


@refused("rotation: over a record of key events that is garbage", "Fatal")
async def garbled_record() -> None:
    world = await World().begin()
    await put_on_record(world.stores, What.ROTATION_DONE, [WORKSPACE], BY)
    await world.replace(LOG.name(1), lambda body: body[:-1])
    await rotation(world).begun(BY)
