"""What a reader of one workspace is shown: what the ledger lists, less what unit chains have consumed.

How far each unit chain goes is listed once, at the beginning, and what comes later is not looked at: so a
record that is moved meanwhile is shown in one place, where it was.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from workers.intake.dispositions import PLATFORM, UNCLAIMED, Disposition
from workers.ledger import line_ranges, unit_chain
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import UNITS
from workers.ledger.unit_chain import UnitHead, consumed_lines, units_with_chains
from workers.ledger.unit_entries import BECOMES, IN_OUTPUTS, UnitEntry, landing_unit
from workers.ledger.walk import entries_of
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

CHAINS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a reader asks for; None means any."""

    workspace: str
    source: str | None = None
    day: str | None = None  # YYYY-MM-DD
    dispositions: frozenset[Disposition] | None = None

    def has(self, stored: StoredObject) -> bool:
        return (
            stored.workspace == self.workspace
            and self.source in (None, stored.source)
            and self.day in (None, stored.day)
            and (self.dispositions is None or stored.disposition in self.dispositions)
        )


class Shown(NamedTuple):
    stored: StoredObject
    lines: Ranges | None  # those that are live; None: all
    entry: Entry | UnitEntry  # which lists it

    @property
    def records(self) -> int:
        """Live ones."""
        return self.stored.records if self.lines is None else line_ranges.count(self.lines)


class Unshown(NamedTuple):
    """The chain of a unit as far as a reader goes."""

    head: UnitHead
    lines: dict[str, Ranges | None]  # consumed, by object; None: all


class Showing:
    """One reader's view. Requests beside the ledger's: two lists each thousand unit entries of the selection;
    one an entry of each unit chain that concerns it. Memory: a line a unit that has a chain, and CHAINS_KEPT
    chains.
    """

    def __init__(self, ledger: Store, selection: Selection, retry: Retry) -> None:
        self._ledger, self._selection, self._retry = ledger, selection, retry
        self._lengths: dict[Unit, int] = {}
        self._chains: OrderedDict[Unit, Unshown] = OrderedDict()

    async def all(self) -> AsyncIterator[Shown]:
        """Intake chain by intake chain in the order of names, in a chain by offsets; then the outputs, unit
        chain by unit chain. Raises Fatal for a chain that is broken."""
        await self._measure()
        async for entry in entries_of(self._ledger, self._retry):
            for stored in filter(self._selection.has, entry.objects):
                if (shown := await self._shown(stored, entry)) is not None:
                    yield shown
        for unit in self._lengths:
            for unit_entry in (await self._chain(unit)).head.entries:
                for stored in filter(self._selection.has, unit_entry.outputs):
                    if (shown := await self._shown(stored, unit_entry)) is not None:
                        yield shown

    async def ended(self, shown: Shown) -> bool:
        """Whether what was shown has come to its end since, and is nowhere else."""
        unit = landing_unit(shown.stored)
        head = await unit_chain.head(self._ledger, unit, self._retry)
        later = [
            entry
            for entry in head.entries[self._lengths.get(unit, 0) :]
            if any(each.key == shown.stored.key for each in entry.consumed)
        ]
        if not later or any(BECOMES[entry.kind] & IN_OUTPUTS for entry in later):
            return False
        return _left(consumed_lines(head.entries), shown.stored) == ()

    async def _measure(self) -> None:
        """A unit before those that feed it, so that whatever it has consumed of them is seen in them."""
        asked = self._selection
        day = f"day={asked.day}/" if asked.day else ""
        source = f"src={asked.source}/{day}" if asked.source else ""
        for under in (f"ws={asked.workspace}/{source}", f"ws={PLATFORM}/src={UNCLAIMED}/{day}"):
            async for place in units_with_chains(self._ledger, self._retry, UNITS + under):
                if asked.day in (None, place.unit.day):
                    self._lengths.setdefault(place.unit, place.seq)

    async def _shown(self, stored: StoredObject, entry: Entry | UnitEntry) -> Shown | None:
        if not self._lengths:
            return Shown(stored, None, entry)
        unit = landing_unit(stored)
        if unit not in self._lengths:
            return Shown(stored, None, entry)
        left = _left((await self._chain(unit)).lines, stored)
        return Shown(stored, left, entry) if left != () else None

    async def _chain(self, unit: Unit) -> Unshown:
        found = self._chains.get(unit)
        if found is None:
            head = await unit_chain.head(self._ledger, unit, self._retry)
            head = head._replace(entries=head.entries[: self._lengths[unit]])
            found = self._chains[unit] = Unshown(head, consumed_lines(head.entries))
        self._chains.move_to_end(unit)
        while len(self._chains) > CHAINS_KEPT:
            self._chains.popitem(last=False)
        return found


def _left(consumed: dict[str, Ranges | None], stored: StoredObject) -> Ranges | None:
    """The lines that are live; None where none was ever consumed."""
    if stored.key not in consumed:
        return None
    gone = consumed[stored.key]
    return () if gone is None else line_ranges.rest(gone, stored.records)
