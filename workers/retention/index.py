"""Which entries list objects of which unit, kept in memory and brought up to date from where it stood.

So a plan reads the entries that are new, not the ledger. It can be thrown away: the ledger has it all. From
start to start it goes by a copy (index_copy.py).
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence

from workers.errors import Fatal
from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Closing, Entry, Genesis, StoredObject
from workers.ledger.halts import Halted
from workers.ledger.head import Head, after_genesis, after_slot, closed_head, follows
from workers.ledger.names import ChainId
from workers.ledger.unit_entries import landing_unit
from workers.ledger.walk import chains, listed, walk
from workers.retention import shelf
from workers.retention.index_copy import FORMAT, ChainCopy, IndexCopy, unit_of
from workers.retention.plan import Held
from workers.retention.share import Share
from workers.retention.shelf import Gathering, Shelf
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

AHEAD = 32  # entries that are read at once


class UnitIndex:
    """Memory: about 400 bytes a unit, and 8 a unit and entry, and the shelf.

    `upto`: only these chains are read, each as far as there (an offset at which an entry begins), or to its
    end.
    """

    def __init__(
        self,
        ledger: Store,
        retry: Retry,
        now: Callable[[], int],
        upto: Mapping[ChainId, int | None] | None = None,
    ) -> None:
        self._ledger = ledger
        self._retry = retry
        self._now = now  # ms since the epoch
        self._upto = upto
        self._asked_at = 0  # when the newest look began
        self._reading = asyncio.Lock()
        self._units: dict[Unit, Share] = {}
        self._chains: list[ChainId] = []
        self._numbers: dict[ChainId, int] = {}
        self._heads: dict[ChainId, Head] = {}
        self._closed: set[ChainId] = set()  # nothing follows
        self._shelf = Shelf()
        self._shelving = asyncio.Lock()
        self._expected: frozenset[Unit] = frozenset()
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

    # -- reading the ledger ----------------------------------------------------------------------------

    async def advance(self) -> int:
        """Reads what is new, and returns how many entries. Raises Fatal for a broken chain.

        Requests: about three a chain that is open, one a closed one, and one a new entry.
        """
        async with self._reading:
            return await self._advance()

    async def _advance(self) -> int:
        asked_at, before = self._now(), self.entries
        async for chain in chains(self._ledger, self._retry):
            if self._upto is not None and chain not in self._upto:
                continue
            if chain not in self._heads:
                await self._begin(chain)
            if chain not in self._closed:
                await self._follow(chain)
        self._asked_at = asked_at
        return self.entries - before

    async def reaches(self, since: int) -> None:
        """Returns when everything that was committed before `since` (ms since the epoch) is read."""
        async with self._reading:
            if self._asked_at < since:
                await self._advance()

    async def _begin(self, chain: ChainId) -> None:
        """A chain with a broken past is read as its closing lets it count, once: it is closed."""
        whole = self._upto is None or self._upto[chain] is None
        closed = await closed_head(self._ledger, chain, self._retry) if whole else None
        if closed is not None:
            self._number(chain)
            async for entry in walk(self._ledger, chain, self._retry):
                self._count(chain, entry)
            self._heads[chain] = closed
            self._closed.add(chain)
            return
        genesis = await read(self._ledger, chain.genesis, self._retry)
        if genesis is None:
            raise entries.missing(chain.genesis, "there are entries, but no genesis")
        entries.decode(Genesis, genesis, chain.genesis)
        self._heads[chain] = after_genesis(chain, genesis)

    async def _follow(self, chain: ChainId) -> None:
        """To the end of the chain by entries. Listings only say what to read ahead."""
        async for firsts in self._listed(chain):
            reading = (read(self._ledger, chain.entry(first), self._retry) for first in firsts)
            for first, body in zip(firsts, await asyncio.gather(*reading), strict=True):
                if first == self._heads[chain].next and body is not None and not self._take(chain, body):
                    return
        while not self._is_at_end(chain):
            body = await read(self._ledger, chain.entry(self._heads[chain].next), self._retry)
            if body is None or not self._take(chain, body):
                return

    async def _listed(self, chain: ChainId) -> AsyncIterator[list[int]]:
        """Places behind the head, some at a time."""
        head = self._heads[chain]
        after = chain.prefix if head.first is None else chain.entry(head.first)
        some: list[int] = []
        async for stat in listed(self._ledger, chain.prefix, self._retry, after=after):
            first = chain.slot(stat.key)
            if first is None:
                continue
            if self._is_beyond(chain, first):
                break
            some.append(first)
            if len(some) == AHEAD:
                yield some
                some = []
        if some:
            yield some

    def _is_at_end(self, chain: ChainId) -> bool:
        return self._is_beyond(chain, self._heads[chain].next)

    def _is_beyond(self, chain: ChainId, offset: int) -> bool:
        upto = None if self._upto is None else self._upto[chain]
        return upto is not None and offset >= upto

    def _take(self, chain: ChainId, body: bytes) -> bool:
        """The entry behind the head; False where nothing follows it."""
        if self._is_at_end(chain):
            return False
        head = self._heads[chain]
        found, newer = after_slot(chain, head.next, body)
        follows(head, found)
        self._heads[chain] = newer
        if isinstance(found, Closing):
            self._closed.add(chain)
            return False
        self._count(chain, found)
        return True

    def _count(self, chain: ChainId, entry: Entry) -> None:
        self.entries += 1
        number = self._number(chain)
        for stored in entry.objects:
            unit = landing_unit(stored)
            share = self._units.get(unit)
            if share is None:
                share = self._units[unit] = Share()
            share.count(stored, number, entry.first)

    def _number(self, chain: ChainId) -> int:
        number = self._numbers.get(chain)
        if number is None:
            number = self._numbers[chain] = len(self._chains)
            self._chains.append(chain)
        return number

    # -- what a unit's objects are ---------------------------------------------------------------------

    def expects(self, units: Iterable[Unit]) -> None:
        """Whose objects will be asked for: what is read for one of a day is read for all of these."""
        self._expected = frozenset(units)
        self._shelf.keep_only(self._expected)

    @property
    def shelved(self) -> int:
        """Objects that are kept, packed, for whoever asks next."""
        return self._shelf.kept

    async def objects(self, unit: Unit) -> list[StoredObject]:
        """The unit's objects that intake entries list, as of the last `advance`: read from these entries.

        Requests: one an entry, for all units of a day that are expected together.
        """
        async with self._shelving:
            if self._missing(unit):
                await self._shelve([unit, *self._expected_with(unit)])
            return self._shelf.objects(unit)

    def _missing(self, unit: Unit) -> dict[int, "array[int]"]:
        share = self._units.get(unit)
        return {} if share is None else self._shelf.missing(unit, share.firsts)

    def _expected_with(self, unit: Unit) -> Iterator[Unit]:
        """Others of its day, as many as the shelf takes."""
        room = shelf.OBJECTS - self.held(unit).objects
        for other in sorted(self._expected):
            if other.day == unit.day and other != unit and self._missing(other):
                room -= self.held(other).objects
                if room < 0:
                    return
                yield other

    async def _shelve(self, units: Sequence[Unit]) -> None:
        gathering = Gathering(self._shelf)
        missing = {unit: self._missing(unit) for unit in units}
        for number in sorted({number for each in missing.values() for number in each}):
            wanted: dict[int, list[Unit]] = {}
            for unit, places in missing.items():
                for first in places.get(number, ()):
                    wanted.setdefault(first, []).append(unit)
            firsts = sorted(wanted)
            for at in range(0, len(firsts), AHEAD):
                some = firsts[at : at + AHEAD]
                reading = (self._read_entry(self._chains[number], first) for first in some)
                for first, entry in zip(some, await asyncio.gather(*reading), strict=True):
                    of = frozenset(wanted[first])
                    for stored in entry.objects:
                        if (unit := landing_unit(stored)) in of:
                            gathering.add(unit, stored)
        gathering.end(
            {unit: {number: len(each) for number, each in places.items()} for unit, places in missing.items()}
        )

    async def _read_entry(self, chain: ChainId, first: int) -> Entry:
        body = await read(self._ledger, chain.entry(first), self._retry)
        found = None if body is None else after_slot(chain, first, body)[0]
        if not isinstance(found, Entry):
            raise Fatal(
                f"{chain.entry(first)} is there no longer",
                remedy="Run `strongroom verify`, and restore it from a version or a replica",
            )
        return found

    # -- the copy that is kept -------------------------------------------------------------------------

    async def copied(self) -> IndexCopy:
        """All of it, of one moment; without the units' chains, which others know."""
        async with self._reading:
            for chain in self._heads:
                self._number(chain)
            chains = tuple(self._chain_copied(chain) for chain in self._chains)
            units = tuple(share.copied(unit) for unit, share in self._units.items())
            return IndexCopy(FORMAT, self._asked_at, self.entries, chains, units, ())

    def _chain_copied(self, chain: ChainId) -> ChainCopy:
        head = self._heads[chain]
        return ChainCopy(chain, head.first, head.next, head.digest, chain in self._closed)

    async def restore(self, copy: IndexCopy) -> bool:
        """Goes on from a copy, before the first `advance`. False, and nothing is taken, where the ledger does
        not hold what the copy stands at. Requests: one a chain."""
        async with self._reading:
            for at in range(0, len(copy.chains), AHEAD):
                some = copy.chains[at : at + AHEAD]
                if not all(await asyncio.gather(*map(self._stands, some))):
                    return False
            for each in copy.chains:
                self._number(each.id)
                self._heads[each.id] = Head(each.id, each.first, each.next, each.digest, None)
                if each.closed:
                    self._closed.add(each.id)
            self._units = {unit_of(unit.unit): Share.of(unit) for unit in copy.units}
            self.entries = copy.entries
        return True

    async def _stands(self, copied: ChainCopy) -> bool:
        """Whether the ledger has, at that place, that entry: by its digest, all before it is the same."""
        where = copied.id.genesis if copied.first is None else copied.id.entry(copied.first)
        body = await read(self._ledger, where, self._retry)
        if body is None or entries.digest(body) != copied.digest:
            return False
        try:
            if copied.first is None:
                return after_genesis(copied.id, body).next == copied.next
            found, head = after_slot(copied.id, copied.first, body)
        except Halted:
            return False
        return head.next == copied.next and isinstance(found, Closing) == copied.closed
