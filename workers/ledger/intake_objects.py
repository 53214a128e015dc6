"""Finds the objects of a unit that intake entries list, by the names in the bucket: no index is needed.

An object's name says which entry may list it. So listing a unit's names and reading those entries finds what
is archived of the unit, and costs nothing for the rest of the ledger.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping

from workers.intake.dispositions import STORED, Clock, Group, clock_of
from workers.ledger import data_name
from workers.ledger.chain import read
from workers.ledger.entries import Closing, Entry, StoredObject, digest
from workers.ledger.head import after_slot, closed_head
from workers.ledger.names import ChainId, group_prefix
from workers.ledger.verify_entries import is_named_for
from workers.ledger.walk import listed
from workers.sealing.keys import Unit, checked_unit
from workers.store.port import Store
from workers.store.retry import Retry

ENTRIES_KEPT = 32  # each may list thousands of objects

Objects = Mapping[str, StoredObject]


class IntakeObjects:
    """Look-ups of one pass: a chain that is closed meanwhile is taken as it was found first.

    Requests: a list each thousand names; an entry once, while it is among the last ENTRIES_KEPT; and
    2·log2 of a chain's offsets, once a chain.
    """

    def __init__(self, ledger: Store, data: Store, retry: Retry) -> None:
        self._ledger, self._data, self._retry = ledger, data, retry
        self._entries: OrderedDict[tuple[ChainId, int], Objects] = OrderedDict()
        self._closings: dict[ChainId, Closing | None] = {}

    async def of(self, unit: Unit) -> AsyncIterator[StoredObject]:
        """Those of the unit whose bytes are there, consumed or not. Raises Fatal for a broken entry."""
        checked_unit(unit)
        for disposition in sorted(STORED):
            clock = clock_of(unit.workspace, unit.source, disposition)
            if clock is not unit.clock:
                continue
            group = Group(unit.workspace, unit.source, unit.day, disposition, Clock(clock))
            async for stat in listed(self._data, group_prefix(group), self._retry):
                stored = await self.listed(stat.key)
                if stored is not None:
                    yield stored

    async def listed(self, key: str) -> StoredObject | None:
        """What an intake entry says of the object; None where none that counts lists it."""
        name = data_name.parse(key)
        if name is None:
            return None
        place = name.chain, name.first
        if place not in self._entries:
            self._entries[place] = await self._objects(*place)
        self._entries.move_to_end(place)
        while len(self._entries) > ENTRIES_KEPT:
            self._entries.popitem(last=False)
        return self._entries[place].get(key)

    async def given_up(self, key: str) -> bool:
        """Whether the entry that would list the object is one that its chain was closed without."""
        name = data_name.parse(key)
        closing = None if name is None else await self._closing(name.chain)
        if name is None or closing is None:
            return False
        entry = _name(name.chain, name.first)
        return name.first >= closing.head or any(found.name == entry for found in closing.broken)

    async def _objects(self, chain: ChainId, first: int) -> Objects:
        body = await read(self._ledger, chain.entry(first), self._retry)
        if body is None or not await self._counts(chain, first, digest(body)):
            return {}
        entry, _ = after_slot(chain, first, body)
        if not isinstance(entry, Entry):
            return {}
        return {stored.key: stored for stored in entry.objects if is_named_for(chain, entry, stored)}

    async def _counts(self, chain: ChainId, first: int, sha256: str) -> bool:
        """Unless the chain was closed without it."""
        closing = await self._closing(chain)
        found = _name(chain, first), sha256
        return closing is None or (
            first < closing.head and all((one.name, one.sha256) != found for one in closing.broken)
        )

    async def _closing(self, chain: ChainId) -> Closing | None:
        if chain not in self._closings:
            closed = await closed_head(self._ledger, chain, self._retry)
            self._closings[chain] = None if closed is None else closed.closing
        return self._closings[chain]


def _name(chain: ChainId, first: int) -> str:
    """Of an entry, as closings call it."""
    return chain.entry(first).removeprefix(chain.prefix)
