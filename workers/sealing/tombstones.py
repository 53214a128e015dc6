"""The tombstone log: rows withdrawn, in order, for caches (docs/architecture.md, Withdrawn keys).

A row that caches are to read anew for another reason is named there too: its state is then `active`.
"""

import asyncio
import secrets
from collections.abc import Sequence

import msgspec

from workers.errors import Fatal
from workers.sealing.numbered_log import NumberedLog
from workers.sealing.rows import FORMAT, PREFIX, State
from workers.store.port import Store

LOG = NumberedLog(f"{PREFIX}tombstones/log/", "tombstone log")
READ_AT_ONCE = 16
READ_AT_MOST = 512  # more news than this is cheaper answered by forgetting everything


class Withdrawal(msgspec.Struct, frozen=True, kw_only=True):
    """Rows whose state changed. The id tells a writer's own entry from another's."""

    rows: tuple[str, ...]
    state: State
    at: int  # ms since the epoch
    id: str
    format: int = FORMAT


_decoder = msgspec.json.Decoder(Withdrawal)


async def append(stores: Sequence[Store], rows: Sequence[str], state: State, now: int) -> None:
    """Adds an entry to the log, at one place in every bucket. Called again, it adds another."""
    entry = Withdrawal(rows=tuple(rows), state=state, at=now, id=secrets.token_hex(8))
    await LOG.append(stores, msgspec.json.encode(entry, order="sorted"))


class Tail:
    """Follows the log from its end as it is at the first look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._after: str | None = None

    async def news(self) -> frozenset[str] | None:
        """Rows withdrawn since the last look, None for too many to name. Raises the store's Retryable."""
        if self._after is None:
            after = LOG.name(await LOG.first_free(self._store) - 1)
            self._after = max(
                [after, *[entry.key async for entry in self._store.list(LOG.prefix, after=after)]]
            )
            return frozenset()
        names = [
            stat.key async for stat in self._store.list(LOG.prefix, after=self._after, limit=READ_AT_MOST + 1)
        ]
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
        body = await LOG.read(self._store, name)
        try:
            return _decoder.decode(body).rows
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Fatal(
                f"{self._store.name}/{name} is no entry of the tombstone log: {error}",
                remedy="Restore it from its versions",
            ) from None
