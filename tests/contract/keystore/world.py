"""A keystore for tests: its roots, stores and workers, and what they may see of each other."""

import asyncio
from collections.abc import Sequence

from workers.intake.dispositions import Clock
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.replicas import Replicas
from workers.sealing.root import FileRoot, RootKey
from workers.sealing.roots import Roots
from workers.sealing.unit_key import UnitKey
from workers.store.port import Store
from workers.store.retry import Retry

NOW = 1_795_000_000_000
UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
NEIGHBOUR = UNIT._replace(day="2026-11-26")
ROOT = FileRoot(b"r" * 32)


class Uptime:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def worker(
    stores: Sequence[Store],
    *,
    root: RootKey = ROOT,
    second_root: RootKey | None = None,
    life: float = 300.0,
    clock: Uptime | None = None,
    units_max: int = 1000,
) -> Keystore:
    return Keystore(
        stores,
        Roots([root] if second_root is None else [root, second_root]),
        life=life,
        clock=clock or Uptime(),
        now=lambda: NOW,
        units_max=units_max,
        requests=8,
    )


def replicas(stores: Sequence[Store]) -> Replicas:
    return Replicas(stores, requests=8)


def fast() -> Retry:
    """Tries for ever, without waiting; a test that hangs here is stopped by its time-out."""

    async def no_wait(_: float) -> None:
        await asyncio.sleep(0)

    return Retry(sleep=no_wait)


async def patient(keystore: Keystore, unit: Unit, *, create: bool = True) -> UnitKey:
    """Asks as a flush does: again, until it answers."""
    return await fast().call(lambda: keystore.unit_key(unit, create=create))


def agree(*keys: UnitKey) -> bool:
    """Each opens what each other sealed."""
    name = "data/one"
    return all(
        reader.open(*writer.seal(b"plain", name), name) == b"plain"
        for writer in keys
        for reader in keys
        if writer.durable
    )


async def bodies(stores: Sequence[Store], name: str) -> list[bytes]:
    return [(await store.get(name)).body for store in stores]
