"""Rows of the keystore that were withdrawn, put back, copied or altered: whoever needs them is refused."""

import re
from collections.abc import Callable, Sequence

from tests.contract.keystore.world import NEIGHBOUR, NOW, ROOT, UNIT, bodies, replicas, worker
from tests.unit.sealing.cases import refused
from tests.unit.sealing.world import NEIGHBOUR_ROW, RIVAL, ROW, WORKSPACE, World
from workers.sealing.keys import Secret, Unit
from workers.sealing.root import FileRoot
from workers.sealing.rows import (
    WorkspaceKey,
    WorkspaceRow,
    encode,
    marker_of,
    to_text,
    unit_row,
    workspace_row,
)
from workers.sealing.withdraw import disable, enable, enable_past
from workers.store.memory import MemoryStore

for name, row, neighbours in (("unit", ROW, (NEIGHBOUR, RIVAL)), ("workspace", WORKSPACE, (RIVAL,))):
    for use in ("read", "write"):

        @refused(f"shredded {name}: to {use}", "KeyShredded")
        async def shredded(row: str = row, use: str = use, neighbours: Sequence[Unit] = neighbours) -> None:
            world = await World().begin()
            await world.shred(row)
            await world.still_reads(*neighbours)
            await getattr(world, use)()

        @refused(f"shredded {name}: its marker is gone, to {use}", "KeyShredded")
        async def unmarked(row: str = row, use: str = use) -> None:
            world = await World().begin()
            await world.shred(row)
            await world.forget_markers(row)
            await getattr(world, use)()

        @refused(f"shredded {name}: its row is gone, to {use}", "KeyShredded")
        async def rowless(row: str = row, use: str = use) -> None:
            world = await World().begin()
            await world.shred(row)
            for store in world.stores:
                await store.delete([row])
            await getattr(world, use)()

        @refused(f"shredded {name}: only the second bucket's marker is left of it, to {use}", "KeyShredded")
        async def second_marker(row: str = row, use: str = use) -> None:
            world = await World().begin()
            await world.shred(row)
            for store in world.stores:
                await store.delete([row])
            await world.stores[0].delete([marker_of(row)])
            await getattr(world, use)()

        @refused(f"shredded {name}: its row put back from an old version, to {use}", "KeyShredded")
        async def put_back(row: str = row, use: str = use) -> None:
            world = await World().begin()
            before = await bodies(world.stores, row)
            await world.shred(row)
            await world.put_back(row, before)
            await getattr(world, use)()

        @refused(f"shredded {name}: put back into the second bucket, markers gone, to {use}", "KeyShredded")
        async def half_put_back(row: str = row, use: str = use) -> None:
            world = await World().begin()
            before = (await world.stores[1].get(row)).body.replace(b'"revision":1', b'"revision":99')
            await world.shred(row)
            await world.forget_markers(row)
            await world.stores[1].put(row, before)
            await getattr(world, use)()

        @refused(f"disabled {name}: to {use}", "KeyDisabled")
        async def disabled(row: str = row, use: str = use, neighbours: Sequence[Unit] = neighbours) -> None:
            world = await World().begin()
            await disable(replicas(world.stores), [row], NOW)
            await world.still_reads(*neighbours)
            await getattr(world, use)()


@refused("disabled unit: its old version put back into the second bucket, to write", "KeyDisabled")
async def half_enabled() -> None:
    world = await World().begin()
    before = (await world.stores[1].get(ROW)).body
    await disable(replicas(world.stores), [ROW], NOW)
    await world.stores[1].put(ROW, before)
    await world.write()


@refused("shredded unit: its marker is gone, to enable", "KeyShredded")
async def unmarked_enabled() -> None:
    world = await World().begin()
    await world.shred(ROW)
    await world.forget_markers(ROW)
    await enable(replicas(world.stores), [ROW], NOW)


@refused("shredded unit: put back from an old version, to enable", "KeyShredded")
async def put_back_enabled() -> None:
    world = await World().begin()
    before = await bodies(world.stores, ROW)
    await world.shred(ROW)
    await world.put_back(ROW, before)
    await enable(replicas(world.stores), [ROW], NOW)


@refused("shredded unit: its marker is gone, to enable for good", "KeyShredded")
async def unmarked_enabled_past() -> None:
    world = await World().begin()
    await world.shred(ROW)
    await world.forget_markers(ROW)
    await enable_past(replicas(world.stores), ROW, NOW)


@refused("missing: a unit never sealed for, to read", "NoSuchKey")
async def never_sealed() -> None:
    await World().read(NEIGHBOUR)


@refused("missing: the workspace's row, to read", "NoSuchKey")
async def workspace_lost() -> None:
    world = await World().begin()
    for store in world.stores:
        await store.delete([WORKSPACE])
    await world.read()


@refused("root: another one, to read", "Fatal")
async def other_root_reads() -> None:
    world = await World().begin()
    world.root = FileRoot(b"x" * 32)
    await world.read()


@refused("root: another one, to make a key", "Fatal")
async def other_root_writes() -> None:
    world = await World().begin()
    world.root = FileRoot(b"x" * 32)
    await world.write(UNIT._replace(source="app"))


@refused("root: another one, with the right one's name", "Fatal")
async def forged_fingerprint() -> None:
    world = await World().begin()
    world.root = FileRoot(b"x" * 32)
    right, wrong = ROOT.fingerprint.encode(), world.root.fingerprint.encode()
    await world.replace(WORKSPACE, lambda body: body.replace(right, wrong))
    await world.read()


@refused("row: copied to another unit's name", "Fatal")
async def copied() -> None:
    world = await World().begin()
    await world.put_back(NEIGHBOUR_ROW, await bodies(world.stores, ROW))
    await world.read(NEIGHBOUR)


@refused("row: a tombstone copied to another unit's name", "Fatal")
async def copied_tombstone() -> None:
    world = await World().begin()
    await world.shred(ROW)
    await world.put_back(NEIGHBOUR_ROW, await bodies(world.stores, ROW))
    await world.read(NEIGHBOUR)


@refused("row: copied to another workspace's name", "Fatal")
async def copied_workspace() -> None:
    world = await World().begin()
    await world.put_back(workspace_row("rival"), await bodies(world.stores, WORKSPACE))
    await world.read(RIVAL)


WRAPPED = re.compile(rb"[A-Za-z0-9+/=]{60,}")


def wrapped_in(body: bytes) -> bytes:
    found = WRAPPED.search(body)
    assert found is not None
    return found.group()


for of, other in (
    ("another day", NEIGHBOUR_ROW),
    ("another workspace", unit_row(RIVAL)),
    ("a workspace's", WORKSPACE),
):

    @refused(f"row: with the wrapped key of {of}", "Fatal")
    async def transplanted(other: str = other) -> None:
        world = await World().begin()
        alien = wrapped_in((await world.stores[0].get(other)).body)
        await world.replace(ROW, lambda body: body.replace(wrapped_in(body), alien))
        await world.read()


@refused("row: with the wrapped key of another workspace, of a workspace", "Fatal")
async def transplanted_workspace() -> None:
    world = await World().begin()
    alien = wrapped_in((await world.stores[0].get(workspace_row("rival"))).body)
    await world.replace(WORKSPACE, lambda body: body.replace(wrapped_in(body), alien))
    await world.read()


SPOILT: tuple[tuple[str, Callable[[bytes], bytes]], ...] = (
    ("empty", lambda body: b""),
    ("no JSON", lambda body: body[:-1]),
    ("not UTF-8", lambda body: b"\xff" + body),
    ("with a name more", lambda body: b'{"more":1,' + body[1:]),
    ("of a later format", lambda body: body.replace(b'"format":1', b'"format":2')),
    ("its wrapped key no Base64", lambda body: body.replace(wrapped_in(body), b"*" * 40)),
    ("its wrapped key not US-ASCII", lambda body: body.replace(wrapped_in(body), "é".encode() * 40)),
    ("its wrapped key empty", lambda body: body.replace(wrapped_in(body), b"")),
    ("its wrapped key shortened", lambda body: body.replace(wrapped_in(body), wrapped_in(body)[:-8])),
    ("its wrapped key's first bits flipped", lambda body: body.replace(wrapped_in(body)[:4], b"AAAA")),
)
for name, row in (("unit", ROW), ("workspace", WORKSPACE)):
    for how, edit in SPOILT:

        @refused(f"row of a {name}: {how}", "Fatal")
        async def spoilt(row: str = row, edit: Callable[[bytes], bytes] = edit) -> None:
            world = await World().begin()
            await world.replace(row, edit)
            await world.read()


@refused("row of a unit: under a generation that its workspace lacks", "Fatal")
async def lacks_generation() -> None:
    world = await World().begin()
    await world.replace(ROW, lambda body: body.replace(b'"under":1', b'"under":2'))
    await world.read()


@refused("row of a workspace: lacks its current generation", "Fatal")
async def lacks_current() -> None:
    world = await World().begin()
    await world.replace(WORKSPACE, lambda body: body.replace(b'"current":1', b'"current":2'))
    await world.read()


for length in (0, 16, 33):

    @refused(f"row of a workspace: its key of {length} bytes", "Fatal")
    async def workspace_key_length(length: int = length) -> None:
        world = World()
        context = {"generation": "1", "purpose": "strongroom-l1", "workspace": "acme"}
        key = WorkspaceKey(1, {ROOT.fingerprint: to_text(await ROOT.wrap(Secret(length), context))})
        row = WorkspaceRow(workspace="acme", changed_at=NOW, current=1, keys=(key,))
        for store in world.stores:
            await store.put(WORKSPACE, encode(row))
        await world.write()


for unit in (
    UNIT._replace(workspace="a/b"),
    UNIT._replace(source="../x"),
    UNIT._replace(source="s" * 65),
    UNIT._replace(day="2026-02-30"),
    UNIT._replace(day="20261125"),
    UNIT._replace(clock="x"),  # type: ignore[arg-type]  # as a caller might who got it from outside
):

    @refused(f"unit: no key for {'/'.join(unit)[:30]}", "Poison")
    async def no_unit(unit: Unit = unit) -> None:
        await worker([MemoryStore()]).unit_key(unit, create=unit.day == UNIT.day)
