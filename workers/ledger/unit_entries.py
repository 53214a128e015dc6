"""What a unit chain holds: entries that consume live records and say what these became (docs/format.md).

Canonical JSON, sorted keys. What an entry says of itself alone is checked here, by its writer before it is
written and by an auditor afterwards.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition
from workers.ledger.data_name import parse_output
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.line_ranges import Ranges, count, is_canonical
from workers.ledger.names import unit_entry
from workers.sealing.keys import Unit

FORMAT = 1


class Kind(StrEnum):
    """Why records are consumed."""

    RELEASE = "release"  # from quarantine to where they would have been without it
    REPLAY = "replay"  # they were sorted again
    DISCARD = "discard"  # they are given up, for a reason of their own
    COMPACT = "compact"  # the same records in other objects
    ERASE = "erase"  # some of them are given up, the others are in other objects
    DISPOSE = "dispose"  # their time is over


class Became(StrEnum):
    """What a consumed record became."""

    ACCEPTED = Disposition.ACCEPTED.value
    FLAGGED = Disposition.FLAGGED.value
    QUARANTINED = Disposition.QUARANTINED.value
    DEAD_LETTERED = Disposition.DEAD_LETTERED.value
    REJECTED = Disposition.REJECTED.value
    DISCARDED = "discarded"
    ERASED = "erased"
    DISPOSED = "disposed"


IN_OUTPUTS = frozenset({Became.ACCEPTED, Became.FLAGGED, Became.QUARANTINED, Became.DEAD_LETTERED})
BECOMES: Mapping[Kind, frozenset[Became]] = MappingProxyType(
    {
        Kind.RELEASE: frozenset({Became.ACCEPTED, Became.FLAGGED}),
        Kind.REPLAY: IN_OUTPUTS | {Became.REJECTED},
        Kind.DISCARD: frozenset({Became.DISCARDED}),
        Kind.COMPACT: IN_OUTPUTS,
        Kind.ERASE: IN_OUTPUTS | {Became.ERASED},
        Kind.DISPOSE: frozenset({Became.DISPOSED}),
    }
)
# An object that one of these names may be absent once all of its records are consumed. A release or a replay
# gives no leave: what it moved stays where it was until the unit is disposed of.
LEAVE = frozenset({Kind.DISCARD, Kind.COMPACT, Kind.ERASE, Kind.DISPOSE})


class Consumed(msgspec.Struct, frozen=True):
    """Records of an object that is live in the chain's unit."""

    key: str
    records: Ranges | None  # line numbers; None: all that are live when the entry is written
    count: int  # so many records; 0, in a dispose, only names an object that was consumed before


class UnitEntry(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    kind: Kind
    workspace: str
    source: str
    day: str
    clock: str
    seq: int
    previous: str | None  # hex SHA-256 of the bytes of the entry before; None for the first
    attempt: str  # random, 16 hex digits; the outputs' names hold it
    writer: Writer
    committed_at: int  # ms since the epoch
    actor: str  # who wanted it: a person, or a role
    host: str  # from which machine
    reason: str  # in words
    policy: dict[str, tuple[int, ...]]  # topic → the versions by which it was decided
    consumed: tuple[Consumed, ...]
    counts: dict[Became, dict[str, int]]  # reason → records
    outputs: tuple[StoredObject, ...]

    @property
    def key(self) -> str:
        return unit_entry(chain_unit(self), self.seq)


_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(UnitEntry)


def encode(entry: UnitEntry) -> bytes:
    return _encoder.encode(entry)


def decode(body: bytes, unit: Unit, seq: int) -> UnitEntry:
    """Raises Fatal, naming the key, for anything that is not entry `seq` of the chain of `unit`."""
    where = unit_entry(unit, seq)
    try:
        entry = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise broken(where, f"it is no unit entry: {error}") from None
    if entry.format != FORMAT:
        raise broken(where, f"its format is {entry.format}, this program reads {FORMAT}")
    if (entry.workspace, entry.source, entry.day, entry.clock, entry.seq) != (*unit, seq):
        raise broken(where, "it is another place's entry")
    return entry


def chain_unit(entry: UnitEntry) -> Unit:
    """Whose chain it is in. Raises ValueError for a clock that there is not."""
    return Unit(entry.workspace, entry.source, entry.day, Clock(entry.clock))


def landing_unit(stored: StoredObject) -> Unit:
    """In which the records of an object are live. Raises ValueError for a clock that there is not."""
    return _unit(stored.workspace, stored.source, stored.day, stored.clock)


@lru_cache(maxsize=4096)  # of a day's objects, thousands are of one unit
def _unit(workspace: str, source: str, day: str, clock: str) -> Unit:
    return Unit(workspace, source, day, Clock(clock))


def feeders(unit: Unit) -> tuple[Unit, ...]:
    """Other units whose chains may have outputs that land in `unit`. All are of the same day."""
    quarantine = unit._replace(clock=Clock.QUARANTINE)
    unclaimed = Unit(PLATFORM, UNCLAIMED, unit.day, Clock.UNCLAIMED)
    return tuple(each for each in (quarantine, unclaimed) if unit not in (each, unclaimed))


def miscounts(entry: UnitEntry) -> list[str]:
    """Numbers of an entry that contradict each other, in words."""
    wrong = []
    consumed = sum(each.count for each in entry.consumed)
    became = sum(sum(reasons.values()) for reasons in entry.counts.values())
    if consumed != became:
        wrong.append(f"it consumes {consumed} records and counts {became}")
    for each in entry.consumed:
        if each.records is not None and count(each.records) != each.count:
            wrong.append(f"it counts {each.count} records in lines {each.records} of {each.key}")
    held: Counter[str] = Counter()
    for stored in entry.outputs:
        held[stored.disposition] += stored.records
    for disposition in sorted(held.keys() | IN_OUTPUTS):
        counted = sum(entry.counts.get(Became(disposition), {}).values()) if disposition in IN_OUTPUTS else 0
        if counted != held[disposition]:
            wrong.append(f"it counts {counted} {disposition}, its outputs hold {held[disposition]}")
    return wrong


def malformed(entry: UnitEntry) -> list[str]:
    """What no writer would put into an entry, in words."""
    wrong = []
    if entry.seq < 1 or (entry.previous is None) != (entry.seq == 1):
        wrong.append("the first entry, and no other, follows none")
    keys = [each.key for each in entry.consumed]
    if len(set(keys)) != len(keys):
        wrong.append("it names an object twice")
    for each in entry.consumed:
        if each.records is not None and not (each.records and is_canonical(each.records)):
            wrong.append(f"its lines of {each.key} are not ascending ranges apart from each other")
        if each.count < 0 or (each.count == 0 and entry.kind is not Kind.DISPOSE):
            wrong.append(f"it consumes {each.count} records of {each.key}")
    if any(stored.records < 1 for stored in entry.outputs):
        wrong.append("one of its outputs holds no record")
    if not entry.consumed:
        wrong.append("it consumes nothing")
    if any(number < 0 for reasons in entry.counts.values() for number in reasons.values()):
        wrong.append("it counts less than nothing")
    if others := sorted(entry.counts.keys() - BECOMES[entry.kind]):
        wrong.append(f"a {entry.kind} makes no record {', '.join(others)}")
    return wrong


def misplaced(entry: UnitEntry) -> list[tuple[str, str]]:
    """Outputs that can't be this entry's: (key, why)."""
    told = [(stored.key, why_misplaced(entry, stored)) for stored in entry.outputs]
    return [(key, why) for key, why in told if why]


def why_misplaced(entry: UnitEntry, stored: StoredObject) -> str:
    """Why an output can't be this entry's; empty if it can."""
    if not is_named_for(entry, stored):
        return "its name is not one that the entry gives"
    unit = chain_unit(entry)
    if not _may_land(entry.kind, unit, landing_unit(stored)):
        return f"a {entry.kind} of {'/'.join(unit)} puts nothing there"
    return ""


def is_named_for(entry: UnitEntry, stored: StoredObject) -> bool:
    """Whether an output has a name that only this entry could have given it."""
    name = parse_output(stored.key)
    if name is None or (name.consumer, name.seq, name.attempt) != (
        chain_unit(entry),
        entry.seq,
        entry.attempt,
    ):
        return False
    return (*name.unit, name.disposition) == (
        stored.workspace,
        stored.source,
        stored.day,
        stored.clock,
        stored.disposition,
    )


def _may_land(kind: Kind, consumer: Unit, landing: Unit) -> bool:
    if kind in (Kind.COMPACT, Kind.ERASE):
        return landing == consumer
    return landing != consumer and consumer in feeders(landing)


def broken(where: str, why: str) -> Fatal:
    return Fatal(
        f"the unit chain is broken at {where}: {why}",
        remedy="Run `strongroom verify` to see all of it, and restore the object from a version or a "
        "replica. Nothing of this unit is released, replayed or disposed of meanwhile",
    )
