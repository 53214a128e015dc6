"""A store that counts the requests that are made of it, and how many were under way at once."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from workers.store.port import NO_METADATA, Condition, Got, Stat, Store, Version

PAGE = 1000  # keys a list request


class Counted:
    """A `Store`. `requests`: by `{bucket} {operation}`; `most`: by operation."""

    def __init__(self, store: Store, bucket: str, requests: Counter[str]) -> None:
        self._store = store
        self._bucket = bucket
        self._requests = requests
        self._under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._store.name

    def _count(self, operation: str, requests: int = 1) -> None:
        self._requests[f"{self._bucket} {operation}"] += requests

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        self._count("put")
        return await self._store.put(key, body, condition=condition, metadata=metadata, digest=digest)

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        self._count("get")
        return await self._store.get(key, start=start, length=length)

    async def stat(self, key: str) -> Stat:
        self._count("stat")
        return await self._store.stat(key)

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        self._count("list")
        found = 0
        async for stat in self._store.list(prefix, after=after, limit=limit):
            if found and found % PAGE == 0:
                self._count("list")
            found += 1
            yield stat

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        self._count("list versions")
        found = 0
        async for version in self._store.versions(prefix, after=after):
            if found and found % PAGE == 0:
                self._count("list versions")
            found += 1
            yield version

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        self._count("delete", -(-len(keys) // PAGE))
        return await self._store.delete(keys)

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        self._count("delete versions", -(-len(versions) // PAGE))
        self._under_way["purge"] += 1
        self.most["purge"] = max(self.most["purge"], self._under_way["purge"])
        try:
            return await self._store.purge(versions)
        finally:
            self._under_way["purge"] -= 1

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        self._count("list uploads")
        return await self._store.abandon_uploads(prefix, keys)

    async def expiring(self) -> Sequence[str]:
        return await self._store.expiring()

    async def close(self) -> None:
        await self._store.close()
