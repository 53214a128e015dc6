"""Which units are gone for good: by their keys, and by the entries that say so."""

import asyncio
from collections.abc import Iterable
from typing import Protocol

from workers.errors import Poison
from workers.ledger import unit_chain
from workers.ledger.unit_entries import Kind
from workers.sealing.format import Sealed
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyShredded
from workers.store.port import Store
from workers.store.retry import Retry

AT_ONCE = 16  # units that are looked up


class UnitSealer(Protocol):
    @property
    def generation(self) -> int: ...

    def check(self) -> None:
        """Raises KeyExpired where the key may be used no longer without asking the keystore again."""

    def seal(self, plain: bytes, object_key: str) -> Sealed: ...


class Keys(Protocol):
    async def unit_key(self, unit: Unit, *, create: bool) -> UnitSealer: ...


async def disposed_among(units: Iterable[Unit], keys: Keys, ledger: Store, retry: Retry) -> frozenset[Unit]:
    """Those that an entry disposes of, and whose key is shredded.

    Not one whose key is only disabled: that may be taken back. Nor one that was shredded by hand: no entry
    says that its time was over. The platform's own too: a worker whose clock is slow takes records of a day
    whose term is over.
    Raises Retryable, and Fatal for a broken chain. Requests: one a key that is not cached, a list and the
    entries of each chain whose key is gone.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def is_gone(unit: Unit) -> bool:
        async with room:
            try:
                await retry.call(lambda: keys.unit_key(unit, create=False))
                return False
            except KeyShredded:
                head = await unit_chain.head(ledger, unit, retry)
                return any(entry.kind is Kind.DISPOSE for entry in head.entries)
            except Poison:  # there is none yet, or it is disabled
                return False

    asked = sorted(set(units))
    gone = await asyncio.gather(*map(is_gone, asked))
    return frozenset(unit for unit, it_is in zip(asked, gone, strict=True) if it_is)
