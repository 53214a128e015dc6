"""Readers of the key service that nobody made, were ended or altered, and keys not to be used any more."""

from tests.contract.keystore.world import NOW, ROOT, Uptime, fast, replicas, worker
from tests.unit.sealing.cases import METADATA, opener, refused
from tests.unit.sealing.world import WORKSPACE, World
from workers.by import By
from workers.sealing import readers
from workers.sealing.format import parse_header
from workers.sealing.keys import Reader
from workers.sealing.roots import Roots
from workers.sealing.rows import reader_row
from workers.sealing.workspaces import Workspaces
from workers.store.faults import Fault
from workers.store.retry import Retry

BY = By("ada", "desk", "a scenario", NOW)


async def made(world: World, workspace: str = "acme") -> Reader:
    workspaces = Workspaces(replicas(world.stores), Roots([ROOT]), keep=1, now=lambda: NOW)
    reader, _ = await readers.add(
        replicas(world.stores), workspaces, workspace, expires_at=None, by=BY, retry=fast()
    )
    return reader


@refused("key's life: over, to unwrap", "KeyExpired")
async def expired_unwraps() -> None:
    key, header = opener(), parse_header(METADATA)
    assert len(key.unwrap(header.wrapped, header.context)) == 32
    key.expire()
    key.unwrap(header.wrapped, header.context)


@refused("reader: revoked, a look is due", "KeyShredded")
async def revoked() -> None:
    world, clock = await World().begin(), Uptime()
    keystore, reader = worker(world.stores, clock=clock), await made(world)
    await keystore.reader(reader)
    await readers.revoke(replicas(world.stores), reader, BY, fast())
    clock.now += 60
    await keystore.reader(reader)


@refused("reader: revoked, its row put back from an old version", "KeyShredded")
async def put_back() -> None:
    world = await World().begin()
    reader = await made(world)
    before = [(await store.get(reader_row(reader))).body for store in world.stores]
    await readers.revoke(replicas(world.stores), reader, BY, fast())
    await world.put_back(reader_row(reader), before)
    await worker(world.stores).reader(reader)


@refused("reader: its workspace shredded, a look is due", "KeyShredded")
async def workspace_shredded() -> None:
    world, clock = await World().begin(), Uptime()
    keystore, reader = worker(world.stores, clock=clock), await made(world)
    await keystore.reader(reader)
    await world.shred(WORKSPACE)
    clock.now += 60
    await keystore.reader(reader)


@refused("reader: never made", "NoSuchKey")
async def never_made() -> None:
    world = await World().begin()
    await worker(world.stores).reader(Reader("acme", "0" * 16))


@refused("reader: never made, to revoke", "NoSuchKey")
async def never_made_revoked() -> None:
    world = await World().begin()
    await readers.revoke(replicas(world.stores), Reader("acme", "0" * 16), BY, fast())


@refused("reader: of a workspace that has no key", "Poison")
async def of_nobody() -> None:
    await made(await World().begin(), "nobody")


@refused("reader: another one's secret in its row", "Fatal")
async def secret_of_another() -> None:
    world = await World().begin()
    reader, other = await made(world), await made(world)
    for store in world.stores:
        body = (await store.get(reader_row(other))).body
        await store.put(reader_row(reader), body.replace(other.number.encode(), reader.number.encode()))
    await worker(world.stores).reader(reader)


@refused("reader: its row that of a unit", "Fatal")
async def row_of_a_unit() -> None:
    world = await World().begin()
    reader = await made(world)
    await world.replace(reader_row(reader), lambda body: body.replace(b'"reader"', b'"unit"'))
    await worker(world.stores).reader(reader)


@refused("reader: not on record, and so not made", "Unavailable")
async def not_on_record() -> None:
    """Whoever holds a secret stands in the log of key events."""
    world = await World().begin()
    workspaces = Workspaces(replicas(world.stores), Roots([ROOT]), keep=1, now=lambda: NOW)
    for store in world.stores:
        store.faults.add(Fault.UNAVAILABLE, operation="put", key="keys/v1/events/*", times=None)
    once = Retry(attempts=1)
    try:
        await readers.add(replicas(world.stores), workspaces, "acme", expires_at=None, by=BY, retry=once)
    finally:
        assert not [each async for each in readers.standing(replicas(world.stores), "acme", once)]
