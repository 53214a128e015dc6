"""Tells what became of an output of a unit's consumer: its name says which entry alone could list it."""

from collections import OrderedDict
from enum import StrEnum
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import unit_chain
from workers.ledger.data_name import OutputName
from workers.ledger.names import unit_entry
from workers.ledger.unit_chain import UnitHead
from workers.ledger.unit_entries import broken, misplaced
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

KEPT = 100_000  # outputs and chains that are remembered at once, about 250 bytes each


class Standing(StrEnum):
    """Of an output, by its chain. All but `free` and what is in doubt stay so for ever."""

    LISTED = "listed"  # by the entry that it was meant for
    PASSED_OVER = "passed_over"  # its entry's place is taken by one that does not list it
    FREE = "free"  # its entry may still be written
    BEYOND = "beyond"  # entries before its own are missing: who named it had seen them
    BROKEN = "broken"  # the chain is broken


class _Chain(NamedTuple):
    seq: int
    outputs: frozenset[str]
    broken: str = ""  # why


class UnitPlaces:
    """Chains are read whole, once, and again where one must have grown. Raises Retryable."""

    def __init__(self, ledger: Store, retry: Retry) -> None:
        self._ledger, self._retry = ledger, retry
        self._chains: OrderedDict[Unit, _Chain] = OrderedDict()
        self._held = 0

    async def of(self, name: OutputName) -> tuple[Standing, str]:
        """And why, for people."""
        chain = self._chains.get(name.consumer)
        if chain is None or name.seq > chain.seq + 1:
            chain = await self._read(name.consumer)
            self._remember(name.consumer, chain)
        self._chains.move_to_end(name.consumer)
        if chain.broken:
            return Standing.BROKEN, chain.broken
        entry = unit_entry(name.consumer, name.seq)
        if name.key in chain.outputs:
            return Standing.LISTED, f"{entry} lists it"
        if name.seq <= chain.seq:
            return Standing.PASSED_OVER, f"{entry} was written and does not list it"
        if name.seq == chain.seq + 1:
            return Standing.FREE, f"{entry} may still be written"
        return Standing.BEYOND, f"{unit_entry(name.consumer, chain.seq + 1)} is missing"

    async def _read(self, unit: Unit) -> _Chain:
        try:
            head = await unit_chain.head(self._ledger, unit, self._retry)
            return _Chain(head.seq, frozenset(_outputs(head)))
        except Fatal as error:
            return _Chain(0, frozenset(), error.message)

    def _remember(self, unit: Unit, chain: _Chain) -> None:
        before = self._chains.pop(unit, None)
        self._held += _size(chain) - (_size(before) if before else 0)
        self._chains[unit] = chain
        while self._held > KEPT and len(self._chains) > 1:
            self._held -= _size(self._chains.popitem(last=False)[1])


def _outputs(head: UnitHead) -> list[str]:
    """Raises Fatal where an entry lists what it could not: then it proves nothing of its own either."""
    for entry in head.entries:
        for key, why in misplaced(entry):
            raise broken(entry.key, f"it lists {key}: {why}")
    return [stored.key for entry in head.entries for stored in entry.outputs]


def _size(chain: _Chain) -> int:
    return 1 + len(chain.outputs)
