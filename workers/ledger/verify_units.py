"""Reads every unit chain from its first entry on: whole, linked, and nothing consumed twice or never live."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger.chain import read
from workers.ledger.data_name import parse_output
from workers.ledger.entries import StoredObject
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.names import UNITS, unit_entry
from workers.ledger.unit_chain import UnitPlace, listed_output, unit_place
from workers.ledger.unit_entries import UnitEntry
from workers.ledger.verify_listing import Listed, Listing, in_order
from workers.ledger.verify_objects import Objects
from workers.ledger.verify_report import Kind, NoteKind, Report
from workers.ledger.verify_state import Progress, StateFile
from workers.ledger.verify_unit_entries import Consuming, UnitSlot, consume, judged
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

LOOKED_UP = 16  # inputs of an entry at once

Inputs = Mapping[str, StoredObject | None]


class Found(NamedTuple):
    listed: Listed
    place: UnitPlace | None  # None for a key that fits no unit chain
    slot: UnitSlot | None  # None where there is no entry to link
    inputs: Inputs
    report: Report


@dataclass
class Chain:
    """A unit's chain as far as it was read, and what was found in it."""

    unit: Unit | None = None
    seq: int = 0
    digest: str | None = None  # of the newest entry; None before the first
    linked: bool = True  # the next entry can be held against `digest`
    last: str = ""  # the last key that was taken
    consuming: Consuming = field(default_factory=Consuming)
    report: Report = field(default_factory=Report)


class UnitAudit:
    """`ahead` entries are read at once, and judged in order. Memory: those, and what one chain consumed.

    The progress holds whole chains: a pass that was stopped begins again with the chain that it was in.
    """

    def __init__(
        self,
        ledger: Store,
        retry: Retry,
        objects: Objects,
        intake: IntakeObjects,
        progress: Progress,
        state: StateFile | None,
        *,
        ahead: int,
    ) -> None:
        self._ledger, self._retry, self._objects, self._intake = ledger, retry, objects, intake
        self._progress, self._state, self._ahead = progress, state, ahead
        self._chain = Chain()

    async def run(self) -> None:
        listing = Listing(self._ledger, UNITS, self._retry, after=self._progress.units or "")
        async with aclosing(in_order(listing, self._read, ahead=self._ahead)) as all_found:
            async for found in all_found:
                if found.place is not None and found.place.unit != self._chain.unit:
                    self._keep()
                    self._chain = Chain(found.place.unit)
                self._take(self._chain, found)
        self._keep()

    def _keep(self) -> None:
        """The chain is at its end."""
        if not self._chain.last:
            return
        self._progress.united.add(self._chain.report)
        self._progress.units = self._chain.last
        if self._state:
            self._state.keep(self._progress)

    async def _read(self, listed: Listed) -> Found:
        key, report, place = listed.key, Report(), unit_place(listed.key)
        if listed.markers:
            report.found(Kind.DELETED_ENTRY, key, "it has a delete marker")
        if listed.versions > 1:
            report.found(Kind.OVERWRITTEN_ENTRY, key, f"it has {listed.versions} versions")
        if not listed.there:
            return Found(listed, place, None, {}, report)
        if place is None:
            report.found(Kind.STRANGE_KEY, key, "no unit chain has such a name")
            return Found(listed, None, None, {}, report)
        body = await read(self._ledger, key, self._retry)
        if body is None:
            report.found(Kind.VANISHED_ENTRY, key, "it was listed, and is not there")
            return Found(listed, place, None, {}, report)
        slot = judged(place, body, report)
        if slot.entry is None:
            return Found(listed, place, slot, {}, report)
        report.add(await self._objects.check_outputs(slot.entry))
        return Found(listed, place, slot, await self._inputs(slot.entry, report), report)

    async def _inputs(self, entry: UnitEntry, report: Report) -> Inputs:
        """Those of what it consumes, but for what a closing gave up: that is noted."""
        keys = sorted({each.key for each in entry.consumed})
        found: dict[str, StoredObject | None] = {}
        for at in range(0, len(keys), LOOKED_UP):
            some = keys[at : at + LOOKED_UP]
            found |= zip(some, await asyncio.gather(*map(self._input, some)), strict=True)
        for key in [key for key, stored in found.items() if stored is None]:
            if await self._intake.given_up(key):
                report.note(NoteKind.ACKNOWLEDGED, entry.key, f"{key}: a closing gave up what lists it")
                del found[key]
        return found

    async def _input(self, key: str) -> StoredObject | None:
        """What the one entry that could list it says of an object."""
        output = parse_output(key)
        try:
            if output is None:
                return await self._intake.listed(key)
            return await listed_output(self._ledger, output, self._retry)
        except Fatal:
            return None  # that entry is broken, which is found where it lies

    def _take(self, chain: Chain, found: Found) -> None:
        report, slot = found.report, found.slot
        if slot is not None:
            report.unit_chains += chain.seq == 0
            _link(chain, slot, report)
            if slot.entry is not None:
                consume(chain.consuming, slot.entry, found.inputs, report)
        chain.report.add(report)
        chain.last = found.listed.key


def _link(chain: Chain, slot: UnitSlot, report: Report) -> None:
    """Whether the entry follows what was read before it; goes on behind it."""
    key, seq = unit_entry(*slot.place), slot.place.seq
    if seq != chain.seq + 1:
        report.found(Kind.UNIT_HOLE, key, f"entries ({chain.seq}, {seq}) are not there")
    elif slot.entry is not None and chain.linked and slot.entry.previous != chain.digest:
        report.found(Kind.BROKEN_LINK, key, "it does not name the one before it by its digest")
    if seq != chain.seq + 1 or slot.entry is None:
        chain.consuming.whole = False
    chain.seq, chain.digest, chain.linked = seq, slot.digest, slot.entry is not None
