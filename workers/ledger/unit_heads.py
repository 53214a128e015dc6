"""Unit chains as they were read last: who asks for one again reads only what is new of it.

What is replayed appends to one chain a day, and what is due of that day is folded with it: read anew each
time, a chain of n entries costs n requests for each that is appended, and for each unit of its day.
"""

from collections import OrderedDict

from workers.ledger import unit_chain
from workers.ledger.unit_chain import UnitHead
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

KEPT = 50_000  # entries, and objects that they name: some 20 MB


class UnitHeads:
    """Memory: KEPT, or one chain. What was read is not read again: an entry never changes."""

    def __init__(self, ledger: Store, retry: Retry) -> None:
        self._ledger = ledger
        self._retry = retry
        self._heads: OrderedDict[Unit, UnitHead] = OrderedDict()
        self._kept = 0

    async def head(self, unit: Unit) -> UnitHead:
        """As unit_chain.head, as of now. Requests: one list, where nothing is new."""
        found = await unit_chain.head(self._ledger, unit, self._retry, self._heads.get(unit))
        self._keep(found)
        return found

    def _keep(self, found: UnitHead) -> None:
        """Of a unit that has no chain, nothing. Those that nobody asked for longest make room."""
        before = self._heads.pop(found.unit, None)
        self._kept -= 0 if before is None else _size(before)
        if not found.seq:
            return
        self._heads[found.unit] = found
        self._kept += _size(found)
        while self._kept > KEPT and len(self._heads) > 1:
            self._kept -= _size(self._heads.popitem(last=False)[1])


def _size(head: UnitHead) -> int:
    return sum(1 + len(entry.consumed) + len(entry.outputs) for entry in head.entries)
