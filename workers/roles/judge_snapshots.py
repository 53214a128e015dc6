"""The judge's memory of a partition as sealed objects: each named by the offset at which to go on from it.

judge/v1/topic={topic}/id={topic id}/partition={nnnn}/{offset}.msgpack.zst, written only if the name is free:
whoever folded the same observations has the same state, so it does not matter who was first.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec
import structlog
import zstandard

from workers.errors import Poison
from workers.intake.dispositions import PLATFORM, Clock
from workers.ledger.pack import Compression, Packer, unpack
from workers.ledger.walk import listed
from workers.origins.judge import Judge
from workers.sealing.format import Sealed, parse_header
from workers.sealing.keys import Unit
from workers.store.port import IF_ABSENT, NotFound, PreconditionFailed, Store
from workers.store.retry import Retry

log = structlog.get_logger()

ROOT = "judge/v1/"
SOURCE = "judge"  # of the platform's own workspace: the unit that snapshots are sealed under
KEPT = 2  # a partition's newest: the one before is there if the newest can't be read
LEVEL = 3  # of zstd
_NAME = re.compile(r"(\d{16})\.msgpack\.zst\Z", re.ASCII)


class UnitSealer(Protocol):
    def seal(self, plain: bytes, object_key: str) -> Sealed: ...

    def open(self, body: bytes, metadata: Mapping[str, str], object_key: str) -> bytes: ...


class Keys(Protocol):
    async def unit_key(self, unit: Unit, *, create: bool) -> UnitSealer: ...


class Snapshot(NamedTuple):
    offset: int  # of the next observation to fold
    judge: Judge


class Snapshots:
    """Those of one topic. Waits, as declared holds, while the store or the keystore is away."""

    def __init__(
        self, store: Store, keys: Keys, retry: Retry, topic: str, topic_id: str, now: Callable[[], int]
    ) -> None:
        self._store = store
        self._keys = keys
        self._retry = retry
        self._folder = f"{ROOT}topic={topic}/id={topic_id}/"
        self._now = now  # ms since the epoch
        self._packer = Packer(Compression.ZSTD, LEVEL)

    async def latest(self, partition: int) -> Snapshot | None:
        """The newest that can be read. None: the topic is to be folded from its first observation on.

        Raises Fatal for a wrong root key.
        """
        for name in reversed(await self._names(partition)):
            try:
                judge = await self._read(name)
            except NotFound:  # another judge has gone on, and has let it go
                continue
            except (Poison, msgspec.MsgspecError, zstandard.ZstdError) as error:
                log.warning("snapshot_unreadable", key=name, why=str(error))
                continue
            return Snapshot(_offset(name), judge)
        return None

    async def keep(self, partition: int, offset: int, body: bytes) -> int:
        """Stores `Judge.snapshot()` as of `offset`, and lets older ones go. Returns stored bytes."""
        name = f"{self._place(partition)}{offset:016}.msgpack.zst"
        day = datetime.fromtimestamp(self._now() / 1000, UTC).date().isoformat()

        async def put() -> int:
            key = await self._keys.unit_key(Unit(PLATFORM, SOURCE, day, Clock.MAIN), create=True)
            sealed = await asyncio.to_thread(lambda: key.seal(self._packer.pack(body), name))
            with contextlib.suppress(PreconditionFailed):  # ours, or another's of the same state
                await self._store.put(name, sealed.body, condition=IF_ABSENT, metadata=sealed.metadata)
            return len(sealed.body)

        stored = await self._retry.call(put)
        older = [each for each in await self._names(partition) if _offset(each) < offset]
        if older[: 1 - KEPT]:
            await self._retry.call(lambda: self._store.delete(older[: 1 - KEPT]))
        return stored

    async def _read(self, name: str) -> Judge:
        got = await self._retry.call(lambda: self._store.get(name))
        day = parse_header(got.metadata).context.get("day", "")
        unit = Unit(PLATFORM, SOURCE, day, Clock.MAIN)
        key = await self._retry.call(lambda: self._keys.unit_key(unit, create=False))
        return Judge.restored(unpack(name, key.open(got.body, dict(got.metadata), name)))

    async def _names(self, partition: int) -> list[str]:
        """In the order of their offsets."""
        found = listed(self._store, self._place(partition), self._retry)
        return [stat.key async for stat in found if _NAME.search(stat.key)]

    def _place(self, partition: int) -> str:
        return f"{self._folder}partition={partition:04}/"


def _offset(name: str) -> int:
    found = _NAME.search(name)
    assert found is not None  # noqa: S101  # `_names` has looked
    return int(found[1])
