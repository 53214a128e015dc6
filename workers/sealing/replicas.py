"""A keystore row in one or two buckets: written to the first, then the second, and used once both hold it.

The first bucket decides every race (`If-None-Match`, `If-Match`); the second follows. A crash between the two
leaves the copies apart, and whoever meets them next carries the later one over. Nothing here retries: a store
that is down raises Retryable, and the same call may be made again at any time.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from workers.errors import Fatal
from workers.sealing.refusals import KeyShredded
from workers.sealing.rows import Row, State, decode, encode, marker_of
from workers.store.port import (
    IF_ABSENT,
    Condition,
    IfMatch,
    NotFound,
    PreconditionFailed,
    Store,
    Unavailable,
)

ROUNDS = 8  # of losing a race to another writer of the same row


class Copy(NamedTuple):
    row: Row
    body: bytes
    etag: str

    @property
    def age(self) -> tuple[bool, int]:
        """Of two copies the greater is the truth; a tombstone beats everything."""
        return self.row.state is State.TOMBSTONE, self.row.revision


class Replicas:
    """Rows by name. `requests` bounds how many are under way at once."""

    def __init__(self, stores: Sequence[Store], *, requests: int) -> None:
        if not 1 <= len(stores) <= 2:
            raise ValueError("a keystore has one bucket or two")
        if len({store.name for store in stores}) < len(stores):
            raise Fatal(
                f"both keystore buckets are {stores[0].name}",
                remedy="Set STRONGROOM_KEYSTORE_BUCKET_2 to another bucket, or to none",
            )
        self.stores = tuple(stores)
        self._slots = asyncio.Semaphore(requests)

    async def read(self, name: str) -> Row | None:
        """The row for somebody who only opens: nothing is written. Raises KeyShredded for a marked name.

        The second bucket is asked only where the first has no row: an outage of the first must not bring
        back what it has already withdrawn.
        """
        for store in self.stores:
            copy, marked = await asyncio.gather(self._copy(store, name), self._marked(store, name))
            if marked:
                raise shredded(name)
            if copy is not None:
                return copy.row
        return None

    async def settled(self, name: str) -> Row | None:
        """The row, once every bucket holds it. Raises KeyShredded for a marked name."""
        copies, marked = await asyncio.gather(
            self._settle(name), asyncio.gather(*(self._marked(store, name) for store in self.stores))
        )
        if any(marked):
            raise shredded(name)
        return None if copies is None else copies[0].row

    async def copies(self, name: str) -> list[Row | None]:
        """The row as each bucket holds it."""
        found = await asyncio.gather(*(self._copy(store, name) for store in self.stores))
        return [None if copy is None else copy.row for copy in found]

    async def created(self, row: Row) -> Row:
        """The row that stands under a name that `settled` found free: `row`, or that of whoever was first."""
        try:
            for store in self.stores:
                await self._put(store, row.name, encode(row), IF_ABSENT)
            return row
        except PreconditionFailed:  # somebody's row, or ours whose response was lost
            found = await self.settled(row.name)
        if found is None:
            raise Unavailable(f"{self.stores[0].name}/{row.name}: taken, then not found")
        return found

    async def changed(self, name: str, edit: Callable[[Row | None], Row | None]) -> Row | None:
        """Applies `edit` to the row as it stands until nobody else was faster; None from `edit` leaves it.

        `edit` must raise `revision`, and must answer None for a row that it has already changed: after a lost
        response it is asked again. Markers are not looked at.
        """
        for _ in range(ROUNDS):
            copies = await self._settle(name)
            standing = None if copies is None else copies[0].row
            row = edit(standing)
            if row is None:
                return standing
            condition = IF_ABSENT if copies is None else IfMatch(copies[0].etag)
            with suppress(
                PreconditionFailed
            ):  # another's change, or ours whose response was lost: look again
                await self._put(self.stores[0], name, encode(row), condition)
        raise Unavailable(f"{self.stores[0].name}/{name}: others kept changing it")

    async def _settle(self, name: str) -> list[Copy] | None:
        """The same row from every bucket, after carrying the later one over where they differed."""
        for _ in range(ROUNDS):
            found = await asyncio.gather(*(self._copy(store, name) for store in self.stores))
            copies = [copy for copy in found if copy is not None]
            if not copies:
                return None
            latest = max(copies, key=lambda copy: copy.age)
            if any(copy.age == latest.age and copy.body != latest.body for copy in copies):
                raise Fatal(
                    f"{' and '.join(store.name for store in self.stores)} hold different rows at {name}",
                    remedy="Somebody wrote to one of them: restore the right one from its versions",
                )
            if len(copies) == len(found) and all(copy.body == latest.body for copy in copies):
                return copies
            await self._carry_over(name, latest, found)
        raise Unavailable(f"{self.stores[0].name}/{name}: others kept changing it")

    async def _carry_over(self, name: str, latest: Copy, found: Sequence[Copy | None]) -> None:
        for store, copy in zip(self.stores, found, strict=True):
            if copy is None or copy.body != latest.body:
                condition = IF_ABSENT if copy is None else IfMatch(copy.etag)
                try:
                    await self._put(store, name, latest.body, condition)
                except PreconditionFailed:
                    return  # it moved: look again

    async def _put(self, store: Store, name: str, body: bytes, condition: Condition) -> None:
        async with self._slots:
            await store.put(name, body, condition=condition)

    async def _copy(self, store: Store, name: str) -> Copy | None:
        try:
            async with self._slots:
                got = await store.get(name)
        except NotFound:
            return None
        return Copy(decode(got.body, name, f"{store.name}/{name}"), got.body, got.etag)

    async def _marked(self, store: Store, name: str) -> bool:
        try:
            async with self._slots:
                await store.stat(marker_of(name))
        except NotFound:
            return False
        return True


def shredded(name: str) -> KeyShredded:
    return KeyShredded(f"key {name} was shredded", remedy="What it sealed is gone, as its retention wanted")
