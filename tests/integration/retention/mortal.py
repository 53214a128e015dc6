"""A store whose user dies: before a request, or behind its effect, as kill -9 does it."""

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

from workers.store.port import NO_METADATA, Condition, Got, Stat, Store, Version


class Killed(BaseException):
    """Nothing of the worker runs any more."""


class Living(Protocol):
    def go_on(self, asked: str = "") -> None:
        """`asked`: the kind of a request that is about to be sent; "" behind its effect."""


class Life:
    """Ends at a moment drawn by `rng`, about once in `requests` of all stores that share it; 0: never."""

    def __init__(self, rng: random.Random, requests: int) -> None:
        self._rng = rng
        self._requests = requests
        self.over = False

    def go_on(self, asked: str = "") -> None:
        if self.over or (self._requests and self._rng.random() * self._requests * 2 < 1):
            self.over = True
            raise Killed


class Mortal:
    """A `Store`."""

    def __init__(self, store: Store, life: Living) -> None:
        self._store = store
        self._life = life

    @property
    def name(self) -> str:
        return self._store.name

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        self._life.go_on("put")
        etag = await self._store.put(key, body, condition=condition, metadata=metadata, digest=digest)
        self._life.go_on()
        return etag

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        self._life.go_on("get")
        return await self._store.get(key, start=start, length=length)

    async def stat(self, key: str) -> Stat:
        self._life.go_on("stat")
        return await self._store.stat(key)

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        self._life.go_on("list")
        async for stat in self._store.list(prefix, after=after, limit=limit):
            yield stat

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        self._life.go_on("versions")
        async for version in self._store.versions(prefix, after=after):
            yield version

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        self._life.go_on("delete")
        kept = await self._store.delete(keys)
        self._life.go_on()
        return kept

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        self._life.go_on("purge")
        kept = await self._store.purge(versions)
        self._life.go_on()
        return kept

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        self._life.go_on("uploads")
        return await self._store.abandon_uploads(prefix, keys)

    async def expiring(self) -> Sequence[str]:
        return await self._store.expiring()

    async def close(self) -> None:
        """The store is its owner's."""
