"""What one slot of a unit chain says of itself, and what it consumes of what was there before it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from workers.errors import Fatal
from workers.ledger import line_ranges
from workers.ledger import unit_entries as entries
from workers.ledger.data_name import parse_output
from workers.ledger.entries import StoredObject, digest
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import unit_entry
from workers.ledger.unit_chain import UnitPlace
from workers.ledger.unit_entries import FORMAT, Consumed, UnitEntry, landing_unit
from workers.ledger.verify_report import Kind, Report


class UnitSlot(NamedTuple):
    """An entry as it was found."""

    place: UnitPlace
    digest: str  # of its bytes
    entry: UnitEntry | None  # None: it can't be read, or is another place's


@dataclass
class Consuming:
    """A chain as far as it was read: which lines of what it has consumed. Memory: those of one chain."""

    gone: dict[str, Ranges] = field(default_factory=dict)
    whole: bool = True  # no entry so far was missing or unreadable


class _Format(msgspec.Struct):
    format: int = FORMAT


class _Place(msgspec.Struct):
    workspace: str
    source: str
    day: str
    clock: str
    seq: int


def judged(place: UnitPlace, body: bytes, report: Report) -> UnitSlot:
    """The slot, and into `report` whatever is wrong with it alone; its outputs' names are not looked at."""
    key, unread = unit_entry(*place), UnitSlot(place, digest(body), None)
    try:
        written_as = msgspec.json.decode(body, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        written_as = FORMAT  # whatever it is, decoding says it better
    if written_as != FORMAT:
        report.found(Kind.UNKNOWN_FORMAT, key, f"its format is {written_as}, this program reads {FORMAT}")
        return unread
    try:
        entry = entries.decode(body, *place)
    except Fatal as error:
        report.found(
            Kind.FOREIGN_ENTRY if _is_elsewhere(place, body) else Kind.BROKEN_ENTRY, key, error.message
        )
        return unread
    if entries.encode(entry) != body:
        report.found(Kind.NOT_CANONICAL, key, "its bytes are not the canonical JSON of what it says")
    for what in entries.malformed(entry):
        report.found(Kind.FORGED_UNIT, key, what)
    for what in entries.miscounts(entry):
        report.found(Kind.MISCOUNT, key, what)
    report.unit_entries += 1
    for became, reasons in entry.counts.items():
        report.turn(became, sum(reasons.values()))
    return unread._replace(entry=entry)


def _is_elsewhere(place: UnitPlace, body: bytes) -> bool:
    """Whether it is an entry of another place."""
    try:
        says = msgspec.json.decode(body, type=_Place)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return (says.workspace, says.source, says.day, says.clock, says.seq) != (*place.unit, place.seq)


def consume(
    state: Consuming, entry: UnitEntry, inputs: Mapping[str, StoredObject | None], report: Report
) -> None:
    """Takes what the entry consumes from what its chain has left, and tells what it could not take.

    `inputs`: what other entries say of the objects; None where none lists one. Those left out are not judged.
    """
    for each in entry.consumed:
        if each.key not in inputs:
            continue
        stored = inputs[each.key]
        if stored is None or (why := _not_there(entry, stored)):
            report.found(Kind.NEVER_LIVE, entry.key, f"{each.key}: {why if stored else 'no entry lists it'}")
            continue
        gone = state.gone.get(each.key, ())
        left = line_ranges.rest(gone, stored.records)
        taken = left if each.records is None else each.records
        if line_ranges.common(taken, gone) or (not left and each.count):
            report.found(Kind.CONSUMED_TWICE, entry.key, f"of {each.key} only lines {left} were left")
        elif taken and taken[-1][1] >= stored.records:
            report.found(Kind.NEVER_LIVE, entry.key, f"{each.key} has {stored.records} records")
        elif state.whole and line_ranges.count(taken) != each.count:
            report.found(Kind.MISCOUNT, entry.key, _miscounted(each, taken))
        state.gone[each.key] = line_ranges.union(gone, taken)


def _not_there(entry: UnitEntry, stored: StoredObject) -> str:
    """Why a listed object was not in the unit when the entry was written; empty if it may have been."""
    unit = entries.chain_unit(entry)
    if landing_unit(stored) != unit:
        return f"it is of {'/'.join(landing_unit(stored))}"
    output = parse_output(stored.key)
    if output is not None and output.consumer == unit and output.seq >= entry.seq:
        return "it came after that"
    return ""


def _miscounted(each: Consumed, taken: Ranges) -> str:
    return f"it consumes {each.count} records of {each.key}, {line_ranges.count(taken)} were left"
