"""Reads the chains of one policy topic: which shards there are, where each ends, its entries in order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import pairwise
from typing import TypeVar

from workers.ledger import policy_entries as entries
from workers.ledger.policy_entries import FOLD_EVERY, SHARDS, FoldObject, PolicyEntry, broken
from workers.store.port import NotFound, Store
from workers.store.retry import Retry

PARALLEL = 16
PAGE = 1000  # names that one list request returns at most

A = TypeVar("A")
R = TypeVar("R")


class PolicyShards:
    """Raises Retryable when the store stays away, Fatal for a broken chain."""

    def __init__(self, store: Store, topic: str, *, retry: Retry) -> None:
        self._store = store
        self._topic = topic
        self._retry = retry

    async def present(self) -> list[int]:
        """The shards that hold anything: one request for a small fleet, all shards for one beyond a page."""
        names = await self._names(entries.topic_prefix(self._topic), limit=PAGE)
        if len(names) == PAGE:
            return list(range(SHARDS))
        return sorted({entries.place_of(name, self._topic)[0] for name in names})

    async def heads(self, known: Mapping[int, int]) -> dict[int, int]:
        """The newest seq of each shard that has an entry, at least `known` where that is beyond a page.

        One request for a small fleet, as `present`; one a shard beyond a page.
        """
        names = await self._names(entries.topic_prefix(self._topic), limit=PAGE)
        if len(names) < PAGE:
            heads: dict[int, int] = {}
            for shard, seq in (entries.place_of(name, self._topic) for name in names):
                heads[shard] = max(seq, heads.get(shard, 0))
            return heads
        found = await together(lambda shard: self.head(shard, known.get(shard, 0)), range(SHARDS))
        return {shard: head for shard, head in enumerate(found) if head}

    async def head(self, shard: int, known: int) -> int:
        """The newest seq, at least `known`; 0 where the shard has no entry.

        By leaps and then halves, of whole pages: a page that is not full ends with the head.
        """
        low, probe, leap = known, known, FOLD_EVERY
        while len(page := await self._seqs_after(shard, probe)) == FOLD_EVERY:
            low = page[-1]
            probe, leap = low + leap, leap * 2
        high = probe  # where the page is empty there is an entry at `low`, and none above `high`
        while not page and low < high:
            middle = low if high - low <= FOLD_EVERY else (low + high) // 2
            page = await self._seqs_after(shard, middle)
            if not page:
                high = middle
            elif len(page) == FOLD_EVERY:
                low, page = page[-1], []
        return page[-1] if page else low

    async def entries(
        self, shard: int, after: int, digest: str | None, head: int
    ) -> list[tuple[PolicyEntry, str]]:
        """The entries (after, head] and their digests, each checked to follow the one before it.

        `digest` is that of entry `after`; None where `after` is 0.
        """
        read: list[tuple[PolicyEntry, str]] = []
        seqs = range(after + 1, head + 1)
        bodies = await together(lambda seq: self.body(shard, seq), seqs)
        for seq, body in zip(seqs, bodies, strict=True):
            entry = following(body, self._topic, shard, seq, digest)
            digest = entries.digest(body)
            read.append((entry, digest))
        return read

    async def body(self, shard: int, seq: int) -> bytes:
        """The bytes of an entry that is known to be there."""
        name = entries.entry_name(self._topic, shard, seq)
        body = await self._get(name)
        if body is None:
            raise broken(name, "it is missing, and a later one is there")
        return body

    async def stored_fold(self, shard: int, head: int, *, newer_than: int) -> FoldObject | None:
        """The newest fold that its entry vouches for. A writer may have died before it wrote the last one."""
        newest = head - head % FOLD_EVERY
        for seq in (newest, newest - FOLD_EVERY):
            if seq <= newer_than:
                return None
            stored = await self._get(entries.fold_name(self._topic, shard, seq))
            fold = entries.decode_fold(stored, self._topic, shard, seq) if stored else None
            if fold and fold.digest == entries.digest(await self.body(shard, seq)):
                return fold
        return None

    async def published(self, shard: int) -> int:
        """Up to which seq all is known to have been published; 0 where nothing is known."""
        body = await self._get(entries.published_name(self._topic, shard))
        return entries.decode_published(body) if body else 0

    async def marks(self) -> dict[int, str]:
        """The ETag of each shard's mark: one that is written anew has another. One request."""
        shards = {entries.published_name(self._topic, shard): shard for shard in range(SHARDS)}

        async def attempt() -> dict[int, str]:
            stats = self._store.list(entries.published_prefix(self._topic))
            return {shards[stat.key]: stat.etag async for stat in stats if stat.key in shards}

        return await self._retry.call(attempt)

    async def _get(self, name: str) -> bytes | None:
        try:
            return (await self._retry.call(lambda: self._store.get(name))).body
        except NotFound:
            return None

    async def _names(self, prefix: str, *, after: str = "", limit: int) -> list[str]:
        async def attempt() -> list[str]:
            return [stat.key async for stat in self._store.list(prefix, after=after, limit=limit)]

        return await self._retry.call(attempt)

    async def _seqs_after(self, shard: int, seq: int) -> list[int]:
        """Of the next FOLD_EVERY entries. A chain has no holes, so the first is `seq` + 1."""
        after = entries.entry_name(self._topic, shard, seq)
        names = await self._names(entries.shard_prefix(self._topic, shard), after=after, limit=FOLD_EVERY)
        seqs = [entries.place_of(name, self._topic)[1] for name in names]
        for before, later in pairwise([seq, *seqs]):
            if later != before + 1:
                name = entries.entry_name(self._topic, shard, before + 1)
                raise broken(name, "it is missing, and a later one is there")
        return seqs


def following(body: bytes, topic: str, shard: int, seq: int, digest: str | None) -> PolicyEntry:
    """The entry in `body`, if it is the one after the entry of that digest. Raises Fatal."""
    entry = entries.decode_entry(body, topic, shard, seq)
    if entry.previous != digest:
        raise broken(entries.entry_name(topic, shard, seq), "it does not name the entry before it")
    return entry


async def together(
    call: Callable[[A], Awaitable[R]], arguments: Iterable[A], *, at_once: int = PARALLEL
) -> list[R]:
    """What each call returns, in order; every call ends before the first error is raised."""
    slots = asyncio.Semaphore(at_once)

    async def run(argument: A) -> R:
        async with slots:
            return await call(argument)

    results = await asyncio.gather(*map(run, arguments), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]
