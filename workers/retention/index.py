"""Which entries list objects of which unit, kept in memory and brought up to date from where it stood.

So a plan reads the entries that are new, not the ledger. It can be thrown away: the ledger has it all.
"""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from workers.errors import Fatal
from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Closing, Entry, Genesis, StoredObject
from workers.ledger.head import Head, after_genesis, after_slot, closed_head, follows
from workers.ledger.names import ChainId
from workers.ledger.unit_entries import landing_unit
from workers.ledger.walk import chains, walk
from workers.retention.plan import Held
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

ENTRIES_KEPT = 2_000  # read entries, by unit; the units of a day share theirs


@dataclass(slots=True)
class Share:
    """What intake entries list of one unit, whatever became of it since. `firsts`: by chain number."""

    objects: int = 0
    records: int = 0
    stored_bytes: int = 0
    firsts: dict[int, "array[int]"] = field(default_factory=dict)

    def count(self, stored: StoredObject, chain: int, first: int) -> None:
        self.objects += 1
        self.records += stored.records
        self.stored_bytes += stored.stored_bytes
        places = self.firsts.setdefault(chain, array("q"))
        if not places or places[-1] != first:
            places.append(first)


class UnitIndex:
    """Memory: about 400 bytes a unit, and 8 a unit and entry."""

    def __init__(self, ledger: Store, retry: Retry, now: Callable[[], int]) -> None:
        self._ledger = ledger
        self._retry = retry
        self._now = now  # ms since the epoch
        self._asked_at = 0  # when the newest look began
        self._reading = asyncio.Lock()
        self._units: dict[Unit, Share] = {}
        self._chains: list[ChainId] = []
        self._heads: dict[ChainId, Head | None] = {}  # None: closed, nothing follows
        self._read: OrderedDict[tuple[int, int], dict[Unit, list[StoredObject]]] = OrderedDict()
        self.entries = 0

    def __len__(self) -> int:
        return len(self._units)

    def __iter__(self) -> Iterator[Held]:
        """What intake stored, unit by unit; what of it is live the unit's chain says."""
        for unit, share in self._units.items():
            yield Held(unit, share.objects, share.records, share.stored_bytes)

    def held(self, unit: Unit) -> Held:
        share = self._units.get(unit) or Share()
        return Held(unit, share.objects, share.records, share.stored_bytes)

    async def advance(self) -> int:
        """Reads what is new, and returns how many entries. Raises Fatal for a broken chain.

        Requests: about two a chain, and one a new entry.
        """
        async with self._reading:
            return await self._advance()

    async def _advance(self) -> int:
        asked_at, before = self._now(), self.entries
        async for chain in chains(self._ledger, self._retry):
            if chain not in self._heads:
                await self._begin(chain)
            head = self._heads[chain]
            if head is not None:
                await self._follow(head)
        self._asked_at = asked_at
        return self.entries - before

    async def reaches(self, since: int) -> None:
        """Returns when everything that was committed before `since` (ms since the epoch) is read."""
        async with self._reading:
            if self._asked_at < since:
                await self._advance()

    async def objects(self, unit: Unit) -> list[StoredObject]:
        """The unit's objects that intake entries list, as of the last `advance`."""
        share = self._units.get(unit) or Share()
        found: list[StoredObject] = []
        for number, firsts in share.firsts.items():
            for first in firsts:
                found += (await self._entry_by_unit(number, first)).get(unit, ())
        return found

    async def _begin(self, chain: ChainId) -> None:
        """A chain with a broken past is read as its closing lets it count, once: it is closed."""
        self._chains.append(chain)
        closed = await closed_head(self._ledger, chain, self._retry)
        if closed is not None:
            async for entry in walk(self._ledger, chain, self._retry):
                self._take(chain, entry)
            self._heads[chain] = None
            return
        genesis = await read(self._ledger, chain.genesis, self._retry)
        if genesis is None:
            raise entries.missing(chain.genesis, "there are entries, but no genesis")
        entries.decode(Genesis, genesis, chain.genesis)
        self._heads[chain] = after_genesis(chain, genesis)

    async def _follow(self, head: Head) -> None:
        chain = head.chain
        while (body := await read(self._ledger, chain.entry(head.next), self._retry)) is not None:
            found, newer = after_slot(chain, head.next, body)
            follows(head, found)
            if isinstance(found, Closing):
                self._heads[chain] = None
                return
            self._take(chain, found)
            head = self._heads[chain] = newer

    def _take(self, chain: ChainId, entry: Entry) -> None:
        self.entries += 1
        number = self._chains.index(chain)
        for stored in entry.objects:
            unit = landing_unit(stored)
            self._units.setdefault(unit, Share()).count(stored, number, entry.first)

    async def _entry_by_unit(self, number: int, first: int) -> dict[Unit, list[StoredObject]]:
        kept = self._read.get((number, first))
        if kept is None:
            kept = await self._read_entry(self._chains[number], first)
            self._read[number, first] = kept
            if len(self._read) > ENTRIES_KEPT:
                self._read.popitem(last=False)
        self._read.move_to_end((number, first))
        return kept

    async def _read_entry(self, chain: ChainId, first: int) -> dict[Unit, list[StoredObject]]:
        body = await read(self._ledger, chain.entry(first), self._retry)
        found = None if body is None else after_slot(chain, first, body)[0]
        if not isinstance(found, Entry):
            raise Fatal(
                f"{chain.entry(first)} is there no longer",
                remedy="Run `strongroom verify`, and restore it from a version or a replica",
            )
        by_unit: dict[Unit, list[StoredObject]] = {}
        for stored in found.objects:
            by_unit.setdefault(landing_unit(stored), []).append(stored)
        return by_unit
