"""What is there to go, unit by unit, and which disposals are under way: what a plan is made from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import structlog

from workers.intake.dispositions import Clock
from workers.ledger import live as live_units
from workers.ledger import unit_chain
from workers.ledger.unit_chain import UnitHead
from workers.ledger.unit_entries import Kind, UnitEntry, feeders, landing_unit
from workers.ledger.unit_heads import UnitHeads
from workers.retention import certificate, index_copy, names, pending
from workers.retention.due import PolicyView, judge
from workers.retention.index import UnitIndex
from workers.retention.index_copy import UnitChainCopy
from workers.retention.pending import Pending
from workers.retention.plan import Held
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()


class Census(NamedTuple):
    """`held`: what intake stored; of units that are due, what of it is live, or given up and still there.

    `uncertified`: units that were disposed of without a certificate yet.
    """

    held: tuple[Held, ...]
    under_way: Mapping[Unit, Pending]
    uncertified: frozenset[Unit]

    @property
    def unfinished(self) -> frozenset[Unit]:
        """Units whose disposal has begun and is not over."""
        return self.uncertified | self.under_way.keys()


class UnitChain(NamedTuple):
    """Of a unit's chain, what a plan needs."""

    seq: int
    disposals: frozenset[int]
    disposed: int  # objects that these name
    landed: Mapping[Unit, int]  # outputs, by the unit that they landed in
    certified: frozenset[int] = frozenset()  # disposals whose certificate was seen: it stays for ever
    digest: str | None = None  # of the newest entry, once this process has read it

    @property
    def uncertified(self) -> frozenset[int]:
        return self.disposals - self.certified


NO_CHAIN = UnitChain(0, frozenset(), 0, {})
APART = 64  # units whose certificates are looked for one by one; of more, all there are are listed
# entries and unit chains, and the share of all of them, that are new before a copy is kept again: so a bucket
# that keeps versions holds a number of copies that grows with the logarithm of the ledger
NEW_LEAST, NEW_SHARE = 100, 0.02


def unit_chain_of(entries: Sequence[UnitEntry], seq: int) -> UnitChain:
    disposals = [entry for entry in entries if entry.kind is Kind.DISPOSE]
    return UnitChain(
        seq,
        frozenset(entry.seq for entry in disposals),
        len({each.key for entry in disposals for each in entry.consumed}),
        Counter(landing_unit(stored) for entry in entries for stored in entry.outputs),
    )


class Registrar:
    """Reads a chain once, and again when it has grown. Memory: about 1 KB a unit that has a chain.

    It begins with the copy that was kept, where there is one that fits the ledger. `keeps`: it keeps one too.
    """

    def __init__(
        self, ledger: Store, index: UnitIndex, retry: Retry, *, keeps: bool = False, anew: bool = False
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._retry = retry
        self._keeps = keeps
        self._begun = anew  # nothing to begin with
        self._heads = UnitHeads(ledger, retry)
        self._chains: dict[Unit, UnitChain] = {}
        self._folded: dict[Unit, tuple[tuple[int, ...], Held]] = {}  # as long as nothing grows
        self._chains_read = 0
        self._kept_at = (0, 0)  # entries and unit chains in all, when the newest copy was made

    async def census(self, view: PolicyView, now: int) -> Census:
        """At `now`, in ms since the epoch. Raises Fatal for a broken chain, of intake or of a unit.

        Requests: the copy at the start, those of UnitIndex.advance, a list a thousand entries of unit chains,
        a chain that is new, a list a unit that was disposed of and not certified when it was last looked at.
        """
        if not self._begun:
            await self._restore()
        await self._index.advance()
        async for place in unit_chain.units_with_chains(self._ledger, self._retry):
            if self._chains.get(place.unit, NO_CHAIN).seq != place.seq:
                await self._read_chain(place.unit)
        await self._look_for_certificates()
        under_way = {
            stood.pending.unit: stood.pending async for stood in pending.under_way(self._ledger, self._retry)
        }
        if self._keeps and self._is_much_new():
            await self.keep()
        held = [await self._held(each, view, now) for each in (*self._index, *self._landed())]
        uncertified = frozenset(unit for unit, chain in self._chains.items() if chain.uncertified)
        return Census(tuple(held), under_way, uncertified)

    def expects(self, units: Iterable[Unit]) -> None:
        """Which units will be worked off by this census."""
        self._index.expects(units)

    # -- the copy --------------------------------------------------------------------------------------

    async def _restore(self) -> None:
        self._begun = True
        copy = await index_copy.load(self._ledger, self._retry)
        if copy is None:
            return
        if not await self._index.restore(copy):
            log.warning(
                "retention_index_passed_over",
                key=names.INDEX,
                remedy="It does not fit the ledger, and is made anew. `strongroom verify` says what is wrong",
            )
            return
        for each in copy.unit_chains:
            landed = {index_copy.unit_of(unit): count for unit, count in each.landed}
            self._chains[index_copy.unit_of(each.unit)] = UnitChain(
                each.seq, frozenset(each.disposals), each.disposed, landed, frozenset(each.certified)
            )
        self._kept_at = (self._index.entries, self._chains_read)

    def _is_much_new(self) -> bool:
        entries, chains = self._kept_at
        new = self._index.entries - entries + self._chains_read - chains
        return new >= max(NEW_LEAST, NEW_SHARE * (self._index.entries + len(self._chains)))

    async def keep(self) -> int:
        """A copy of what the last census was made from; returns its size in bytes."""
        unit_chains = tuple(_copied(unit, chain) for unit, chain in self._chains.items())
        copy = msgspec.structs.replace(await self._index.copied(), unit_chains=unit_chains)
        size = await index_copy.keep(self._ledger, copy, self._retry)
        self._kept_at = (self._index.entries, self._chains_read)
        log.info("retention_index_kept", bytes=size, entries=self._index.entries, units=len(self._index))
        return size

    # -- chains of units -------------------------------------------------------------------------------

    async def _read_chain(self, unit: Unit) -> None:
        """What is new of it, where it was read before: what is replayed appends to one chain, a day long."""
        known = self._chains.get(unit, NO_CHAIN)
        since = None if known.digest is None else UnitHead(unit, known.seq, known.digest, ())
        head = await unit_chain.head(self._ledger, unit, self._retry, since)
        if since is not None and any(entry.kind is Kind.DISPOSE for entry in head.entries):
            since = None  # it may name again what one before it has named
            head = await unit_chain.head(self._ledger, unit, self._retry)
        new = unit_chain_of(head.entries, head.seq)
        if since is not None:
            landed = Counter(known.landed)
            landed.update(new.landed)
            new = new._replace(disposals=known.disposals, disposed=known.disposed, landed=landed)
        self._chains[unit] = new._replace(certified=known.certified, digest=head.digest)
        self._chains_read += 1

    async def _look_for_certificates(self) -> None:
        """Of disposals of which none was seen yet. One that was seen is there for ever."""
        sought = [unit for unit, chain in self._chains.items() if chain.uncertified]
        prefixes = [names.certificates_of(unit) for unit in sought]
        found: dict[Unit, set[int]] = {}
        for prefix in prefixes if len(sought) <= APART else [names.CERTIFICATES]:
            async for issued in certificate.issued(self._ledger, self._retry, prefix):
                found.setdefault(issued.unit, set()).add(issued.seq)
        for unit in sought:
            chain = self._chains[unit]
            certified = chain.certified | (found.get(unit, set()) & chain.disposals)
            self._chains[unit] = chain._replace(certified=certified)

    async def _held(self, gross: Held, view: PolicyView, now: int) -> Held:
        unit = gross.unit
        chains = [self._chains.get(each, NO_CHAIN) for each in (unit, *feeders(unit))]
        if all(chain is NO_CHAIN for chain in chains) or not judge(unit, view, now).due:
            return gross
        if chains[0].disposed == gross.objects + sum(chain.landed.get(unit, 0) for chain in chains):
            return Held(unit, 0, 0, 0)
        stamp = (gross.objects, *(chain.seq for chain in chains))
        known = self._folded.get(unit)
        if known is None or known[0] != stamp:
            known = self._folded[unit] = (stamp, await self._live(unit))
        return known[1]

    async def _live(self, unit: Unit) -> Held:
        objects = await self._index.objects(unit)
        found = await live_units.unit_by(self._heads, unit, objects)
        named = [*found.objects.values(), *found.spent.values(), *found.given_up]
        records = sum(each.left for each in named)
        return Held(unit, len(named), records, sum(each.stored.stored_bytes for each in named))

    def _landed(self) -> list[Held]:
        """Units that have nothing of intake's, and something that was moved into them."""
        units = {
            unit
            for consumer, chain in self._chains.items()
            if consumer.clock is not Clock.MAIN
            for unit in chain.landed
        }
        return [Held(unit, 0, 0, 0) for unit in sorted(units) if not self._index.held(unit).objects]


def _copied(unit: Unit, chain: UnitChain) -> UnitChainCopy:
    landed = tuple((index_copy.parts_of(into), count) for into, count in chain.landed.items())
    return UnitChainCopy(
        index_copy.parts_of(unit),
        chain.seq,
        tuple(sorted(chain.disposals)),
        tuple(sorted(chain.certified)),
        chain.disposed,
        landed,
    )
