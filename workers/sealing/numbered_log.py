"""A log of numbered objects in one or two buckets: `{prefix}{seq:012d}.json`, from 1, without a gap.

Each place is taken with `If-None-Match`, so that no reader who asks for what came after its last one misses
any, whatever the writers' clocks say.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from workers.errors import Fatal
from workers.store.port import IF_ABSENT, NotFound, PreconditionFailed, Store, Unavailable

# by bucket and prefix, a place that this process saw taken: what is in a log stays there
_last: WeakKeyDictionary[Store, dict[str, int]] = WeakKeyDictionary()
_turns: WeakKeyDictionary[Store, asyncio.Lock] = WeakKeyDictionary()


class NumberedLog(NamedTuple):
    prefix: str
    what: str  # what it is called in messages

    def name(self, seq: int) -> str:
        return f"{self.prefix}{seq:012d}.json"

    async def append(self, stores: Sequence[Store], body: bytes) -> None:
        """Adds an entry, at one place in every bucket. No two may be equal. Called again, it adds another.

        Requests: one a bucket, where nobody else has appended since this process did; else a few more.
        """
        last = _last.setdefault(stores[0], {})
        # one at a time: side by side, all but one would find their place taken
        async with _turns.setdefault(stores[0], asyncio.Lock()):
            seq = last[self.prefix] + 1 if self.prefix in last else await self.first_free(stores[0])
            while not await self._take(stores[0], seq, body):
                seq = await self.first_free(stores[0], seq)
            last[self.prefix] = seq
        for store in stores[1:]:
            if not await self._take(store, seq, body):
                raise Fatal(
                    f"{store.name}/{self.name(seq)} is not the entry of {stores[0].name}",
                    remedy="These buckets are not of one keystore: check STRONGROOM_KEYSTORE_BUCKET and _2",
                )

    async def first_free(self, store: Store, taken: int = 0) -> int:
        """The place after the last entry; `taken`: one that is known to be there.

        The number of requests grows with the logarithm of how many are behind that.
        """
        low, ahead = taken, 1
        while await self._has(store, high := taken + ahead):
            low, ahead = high, ahead * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if await self._has(store, middle) else (low, middle)
        return high

    async def read(self, store: Store, name: str) -> bytes:
        """An entry that is known to be there. Raises Unavailable where it is not: nobody may pass over it."""
        try:
            return (await store.get(name)).body
        except NotFound:
            raise Unavailable(
                f"{store.name}/{name} of the {self.what} is not found",
                remedy="If it stays so, somebody deleted it: restore it from its versions",
            ) from None

    async def _take(self, store: Store, seq: int, body: bytes) -> bool:
        try:
            await store.put(self.name(seq), body, condition=IF_ABSENT)
        except PreconditionFailed:  # another's, or ours whose response was lost
            return (await self.read(store, self.name(seq))) == body
        return True

    async def _has(self, store: Store, seq: int) -> bool:
        try:
            await store.stat(self.name(seq))
        except NotFound:
            return False
        return True
