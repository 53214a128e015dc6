"""Which objects may be absent: their unit's chain has consumed all of them, and an entry gives leave."""

from collections import OrderedDict
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import line_ranges, unit_chain
from workers.ledger.entries import StoredObject
from workers.ledger.line_ranges import Ranges
from workers.ledger.unit_entries import LEAVE, landing_unit
from workers.sealing.flights import Flights
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

KEPT = 100_000  # consumed objects, and units, that are remembered at once; about 300 bytes each


class _Chain(NamedTuple):
    consumed: dict[str, Ranges | None]
    leave: frozenset[str]  # objects that entries which give it have named


class Leaves:
    """Asked only about objects that are absent, so that an archive of which nothing went costs nothing."""

    def __init__(self, ledger: Store, retry: Retry) -> None:
        self._ledger, self._retry = ledger, retry
        self._chains: OrderedDict[Unit, _Chain] = OrderedDict()
        self._held = 0
        self._flights = Flights()

    async def for_absence(self, stored: StoredObject) -> bool:
        """Never from a chain that is broken."""
        unit = landing_unit(stored)
        known = self._chains.get(unit)
        if known is not None and _gives(known, stored):
            self._chains.move_to_end(unit)
            return True
        chain = await self._flights.join(unit, lambda: self._read(unit))  # it may have grown since
        self._remember(unit, chain)
        return _gives(chain, stored)

    async def _read(self, unit: Unit) -> _Chain:
        try:
            head = await unit_chain.head(self._ledger, unit, self._retry)
        except Fatal:
            return _Chain({}, frozenset())
        leaving = (entry for entry in head.entries if entry.kind in LEAVE)
        return _Chain(
            unit_chain.consumed_lines(head.entries),
            frozenset(each.key for entry in leaving for each in entry.consumed),
        )

    def _remember(self, unit: Unit, chain: _Chain) -> None:
        before = self._chains.pop(unit, None)
        self._held += _size(chain) - (_size(before) if before else 0)
        self._chains[unit] = chain
        while self._held > KEPT and len(self._chains) > 1:
            self._held -= _size(self._chains.popitem(last=False)[1])


def _gives(chain: _Chain, stored: StoredObject) -> bool:
    if stored.key not in chain.leave:
        return False
    gone = chain.consumed[stored.key]
    return gone is None or not line_ranges.rest(gone, stored.records)


def _size(chain: _Chain) -> int:
    return 1 + len(chain.consumed)
