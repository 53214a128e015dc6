"""What is live, unit by unit, and which disposals are under way: what a plan is made from."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from workers.intake.dispositions import Clock
from workers.ledger import live as live_units
from workers.ledger import unit_chain
from workers.ledger.unit_entries import Kind, feeders, landing_unit
from workers.retention import certificate, pending
from workers.retention.due import PolicyView, judge
from workers.retention.index import UnitIndex
from workers.retention.pending import Pending
from workers.retention.plan import Held
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry


class Census(NamedTuple):
    """`held`: what intake stored; of units that are due, what of it is live.

    `uncertified`: units that were disposed of without a certificate yet.
    """

    held: tuple[Held, ...]
    under_way: Mapping[Unit, Pending]
    uncertified: frozenset[Unit]

    @property
    def unfinished(self) -> frozenset[Unit]:
        """Units whose disposal has begun and is not over."""
        return self.uncertified | self.under_way.keys()


class _Chain(NamedTuple):
    """Of a unit's chain, what a plan needs."""

    seq: int
    disposals: frozenset[int]
    disposed: int  # objects that these name
    landed: Mapping[Unit, int]  # outputs, by the unit that they landed in


NO_CHAIN = _Chain(0, frozenset(), 0, {})


class Registrar:
    """Reads a chain once, and again when it has grown. Memory: about 1 KB a unit that has a chain."""

    def __init__(self, ledger: Store, index: UnitIndex, retry: Retry) -> None:
        self._ledger = ledger
        self._index = index
        self._retry = retry
        self._chains: dict[Unit, _Chain] = {}
        self._folded: dict[Unit, tuple[tuple[int, ...], Held]] = {}  # as long as nothing grows

    async def census(self, view: PolicyView, now: int) -> Census:
        """At `now`, in ms since the epoch. Raises Fatal for a broken chain, of intake or of a unit.

        Requests: those of UnitIndex.advance, a list a thousand entries of unit chains and certificates, and a
        chain that is new. A unit that nothing was consumed from takes none.
        """
        await self._index.advance()
        async for place in unit_chain.units_with_chains(self._ledger, self._retry):
            if self._chains.get(place.unit, NO_CHAIN).seq != place.seq:
                self._chains[place.unit] = await self._chain(place.unit)
        certified: dict[Unit, set[int]] = {}
        async for issued in certificate.issued(self._ledger, self._retry):
            certified.setdefault(issued.unit, set()).add(issued.seq)
        under_way = {
            stood.pending.unit: stood.pending async for stood in pending.under_way(self._ledger, self._retry)
        }
        held = [await self._held(each, view, now) for each in (*self._index, *self._landed())]
        uncertified = frozenset(
            unit for unit, chain in self._chains.items() if chain.disposals - certified.get(unit, set())
        )
        return Census(tuple(held), under_way, uncertified)

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
        found = await live_units.unit(self._ledger, unit, objects, self._retry)
        named = [*found.objects.values(), *found.spent.values()]
        records = sum(each.left for each in named)
        return Held(unit, len(named), records, sum(each.stored.stored_bytes for each in named))

    async def _chain(self, unit: Unit) -> _Chain:
        head = await unit_chain.head(self._ledger, unit, self._retry)
        disposals = [entry for entry in head.entries if entry.kind is Kind.DISPOSE]
        return _Chain(
            head.seq,
            frozenset(entry.seq for entry in disposals),
            len({each.key for entry in disposals for each in entry.consumed}),
            Counter(landing_unit(stored) for entry in head.entries for stored in entry.outputs),
        )

    def _landed(self) -> list[Held]:
        """Units that have nothing of intake's, and something that was moved into them."""
        units = {
            unit
            for consumer, chain in self._chains.items()
            if consumer.clock is not Clock.MAIN
            for unit in chain.landed
        }
        return [Held(unit, 0, 0, 0) for unit in sorted(units) if not self._index.held(unit).objects]
