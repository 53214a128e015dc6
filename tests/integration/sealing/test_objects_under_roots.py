"""Objects in a real S3, sealed under each kind of root key, are opened with any root key that is left."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.stack.moto_kms import FAR, MotoKms
from tests.stack.s3 import S3
from tests.stack.servers import free_ports
from workers import opening
from workers.errors import Fatal, Retryable
from workers.intake.dispositions import Clock
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.rows import workspace_row
from workers.settings import Settings
from workers.store.port import Store
from workers.store.s3 import open_s3

UNITS = [
    Unit(workspace, "web", day, Clock.MAIN)
    for workspace in ("acme", "rival")
    for day in ("2026-11-25", "2026-11-26")
]


class Archive(NamedTuple):
    """Two buckets: the first has the objects, both have the keystore."""

    stores: Sequence[Store]
    kms: MotoKms

    @asynccontextmanager
    async def keystore(self, **roots: Any) -> AsyncIterator[tuple[Keystore, Roots]]:
        """With the root keys that the settings name, and nothing remembered."""
        named: dict[str, Any] = {"kms_endpoint": self.kms.endpoint, **roots}
        settings = Settings(**named)
        async with opening.open_roots(settings) as held:
            yield Keystore(self.stores, held, life=300), held

    async def seal(self, **roots: Any) -> None:
        async with self.keystore(**roots) as (keys, held):
            assert await held.failures() == {}
            for unit in UNITS:
                key = await keys.unit_key(unit, create=True)
                sealed = key.seal(plain(unit), name(unit))
                await self.stores[0].put(name(unit), sealed.body, metadata=sealed.metadata)

    async def open(self, **roots: Any) -> None:
        async with self.keystore(**roots) as (keys, _):
            for unit in UNITS:
                got = await self.stores[0].get(name(unit))
                key = await keys.unit_key(unit, create=False)
                assert key.open(got.body, got.metadata, name(unit)) == plain(unit)


def name(unit: Unit) -> str:
    return f"data/ws={unit.workspace}/src={unit.source}/day={unit.day}/one"


def plain(unit: Unit) -> bytes:
    return f"{unit}\n".encode() * 100


@pytest.fixture
async def archive(s3: S3, kms: MotoKms) -> AsyncIterator[Archive]:
    async with AsyncExitStack() as opened:
        stores = []
        for _ in range(2):
            stores.append(await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region))
            opened.push_async_callback(stores[-1].close)
        yield Archive(stores, kms)


@pytest.fixture
def root_file(tmp_path: Path) -> Path:
    FileRoot.create(tmp_path / "root.key")
    return tmp_path / "root.key"


async def test_under_a_key_in_a_file(archive: Archive, root_file: Path) -> None:
    await archive.seal(root_key_file=root_file)
    await archive.open(root_key_file=root_file)


async def test_under_a_key_in_kms(archive: Archive, kms: MotoKms) -> None:
    key = kms.key(FAR)
    await archive.seal(kms_keys=key)
    await archive.open(kms_keys=key)
    with pytest.raises(Fatal, match="held here is root key"):
        await archive.open(kms_keys=kms.key(FAR))


async def test_under_both_and_then_with_either(archive: Archive, kms: MotoKms, root_file: Path) -> None:
    key = kms.key(FAR)
    await archive.seal(kms_keys=key, root_key_file=root_file)
    await archive.open(kms_keys=key)
    await archive.open(root_key_file=root_file)
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    await archive.open(kms_keys=key, kms_endpoint=nowhere, root_key_file=root_file)


async def test_under_two_keys_in_kms_of_which_either_is_lost(archive: Archive, kms: MotoKms) -> None:
    keys = [kms.key(), kms.key(FAR)]
    await archive.seal(kms_keys=",".join(keys))
    for kept in keys:
        await archive.open(kms_keys=kept)
    gone = keys[0].rpartition("/")[0] + "/00000000-0000-0000-0000-000000000000"
    await archive.open(kms_keys=f"{gone},{keys[1]}")


async def test_while_a_root_key_is_out_of_reach_no_workspace_gets_a_key(
    archive: Archive, kms: MotoKms, root_file: Path
) -> None:
    key = kms.key(FAR)
    nowhere = f"http://127.0.0.1:{free_ports(1)[0]}"
    async with archive.keystore(kms_keys=key, kms_endpoint=nowhere, root_key_file=root_file) as (keys, _):
        with pytest.raises(Retryable):
            await keys.unit_key(UNITS[0], create=True)
        for store in keys.replicas.stores:
            assert [stat.key async for stat in store.list(workspace_row("acme"))] == []
    async with archive.keystore(kms_keys=key, root_key_file=root_file) as (keys, _):
        made = await asyncio.gather(*(keys.unit_key(unit, create=True) for unit in UNITS))
        assert len({id(one) for one in made}) == len(UNITS)


async def test_whoever_names_no_root_key_is_told(archive: Archive) -> None:
    with pytest.raises(Fatal, match="neither STRONGROOM_KMS_KEYS nor STRONGROOM_ROOT_KEY_FILE is set"):
        await archive.open()
