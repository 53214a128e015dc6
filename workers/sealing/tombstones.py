"""The tombstone log: rows withdrawn, in order, for caches (docs/architecture.md, Withdrawn keys).

`keys/v1/tombstones/log/{seq:012d}.json`, dense, each place taken with `If-None-Match`, so that no reader who
asks for what came after its last one misses any, whatever the writers' clocks say.
"""

import asyncio
import secrets
from collections.abc import Sequence

import msgspec

from workers.errors import Fatal
from workers.sealing.rows import FORMAT, PREFIX, State
from workers.store.port import IF_ABSENT, NotFound, PreconditionFailed, Store, Unavailable

LOG = f"{PREFIX}tombstones/log/"
READ_AT_ONCE = 16
READ_AT_MOST = 512  # more news than this is cheaper answered by forgetting everything


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that were disabled or made tombstones. The id tells a writer's own entry from another's."""

    rows: tuple[str, ...]
    state: State
    at: int  # ms since the epoch
    id: str
    format: int = FORMAT


_decoder = msgspec.json.Decoder(Withdrawal)


def _entry(seq: int) -> str:
    return f"{LOG}{seq:012d}.json"


async def append(stores: Sequence[Store], rows: Sequence[str], state: State, now: int) -> None:
    """Adds an entry to the log, at one place in every bucket. Called again, it adds another."""
    entry = Withdrawal(rows=tuple(rows), state=state, at=now, id=secrets.token_hex(8))
    body = msgspec.json.encode(entry, order="sorted")
    seq = await first_free(stores[0])
    while not await _take(stores[0], _entry(seq), body):
        seq += 1
    for store in stores[1:]:
        if not await _take(store, _entry(seq), body):
            raise Fatal(
                f"{store.name}/{_entry(seq)} is not the entry of {stores[0].name}",
                remedy="These buckets are not of one keystore: check STRONGROOM_KEYSTORE_BUCKET and _2",
            )


async def _take(store: Store, name: str, body: bytes) -> bool:
    try:
        await store.put(name, body, condition=IF_ABSENT)
    except PreconditionFailed:  # another's, or ours whose response was lost
        return (await _read(store, name)) == body
    return True


async def first_free(store: Store) -> int:
    """The place after the last entry, in a number of requests that grows with the logarithm of the log."""
    if not await _has(store, 1):
        return 1
    low, high = 1, 2
    while await _has(store, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if await _has(store, middle) else (low, middle)
    return high


async def _has(store: Store, seq: int) -> bool:
    try:
        await store.stat(_entry(seq))
    except NotFound:
        return False
    return True


async def _read(store: Store, name: str) -> bytes:
    """An entry that is known to be there: without it no cache is validated."""
    try:
        return (await store.get(name)).body
    except NotFound:
        raise Unavailable(
            f"{store.name}/{name} of the tombstone log is not found",
            remedy="If it stays so, somebody deleted it: restore it from its versions",
        ) from None


class Tail:
    """Follows the log from its end as it is at the first look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after: str | None = None

    async def news(self) -> frozenset[str] | None:
        """Rows withdrawn since the last look, None for too many to name. Raises the store's Retryable."""
        if self._after is None:
            after = _entry(await first_free(self._store) - 1)
            self._after = max([after, *[entry.key async for entry in self._store.list(LOG, after=after)]])
            return frozenset()
        names = [stat.key async for stat in self._store.list(LOG, after=self._after, limit=READ_AT_MOST + 1)]
        if len(names) > READ_AT_MOST:
            self._after = None
            await self.news()
            return None
        rows: set[str] = set()
        for start in range(0, len(names), READ_AT_ONCE):
            for found in await asyncio.gather(*map(self._rows, names[start : start + READ_AT_ONCE])):
                rows.update(found)
        if names:
            self._after = names[-1]
        return frozenset(rows)

    async def _rows(self, name: str) -> tuple[str, ...]:
        body = await _read(self._store, name)
        try:
            return _decoder.decode(body).rows
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Fatal(
                f"{self._store.name}/{name} is no entry of the tombstone log: {error}",
                remedy="Restore it from its versions",
            ) from None
