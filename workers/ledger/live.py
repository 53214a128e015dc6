"""The live set of a unit: what its intake objects and the outputs that landed in it still hold of records.

A unit's own chain alone consumes its records. Outputs land in it from its own chain, from that of its
source's quarantine, and from that of what nobody claimed, all of the same day: nothing else must be read.
"""

from collections.abc import Iterable
from typing import NamedTuple

from workers.ledger import line_ranges
from workers.ledger import unit_entries as entries
from workers.ledger.entries import StoredObject
from workers.ledger.line_ranges import Ranges
from workers.ledger.unit_chain import UnitHead
from workers.ledger.unit_entries import LEAVE, Consumed, Kind, UnitEntry, feeders, landing_unit
from workers.ledger.unit_heads import UnitHeads
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry


class LiveObject(NamedTuple):
    stored: StoredObject
    consumed: Ranges = ()  # lines, from 0
    leave: bool = False  # an entry that allows its bytes to go has named it

    @property
    def lines(self) -> Ranges:
        """Those that are live."""
        return line_ranges.rest(self.consumed, self.stored.records)

    @property
    def left(self) -> int:
        """Live records."""
        return self.stored.records - line_ranges.count(self.consumed)


class Live(NamedTuple):
    """`head` is the unit's own chain's: what consumes from here is appended behind it.

    An object is in one of the three by its key: `objects` have live records; of `spent` all records were
    consumed, and the bytes must stay until a dispose names them (count 0); `free` ones may be absent.
    """

    head: UnitHead
    objects: dict[str, LiveObject]
    spent: dict[str, LiveObject]
    free: dict[str, LiveObject]

    @property
    def given_up(self) -> list[LiveObject]:
        """Of a unit that no entry disposes of: what has leave to go, and goes only with the unit's key."""
        if any(entry.kind is Kind.DISPOSE for entry in self.head.entries):
            return []
        return list(self.free.values())


async def unit(ledger: Store, of: Unit, intake_objects: Iterable[StoredObject], retry: Retry) -> Live:
    """The unit as it stands. `intake_objects`: those of the unit that intake entries list.

    Raises Fatal for a broken chain. Requests: up to three lists, and one an entry of those chains.
    """
    return await unit_by(UnitHeads(ledger, retry), of, intake_objects)


async def unit_by(heads: UnitHeads, of: Unit, intake_objects: Iterable[StoredObject]) -> Live:
    """As `unit`; of chains that `heads` has, only what is new is read."""
    return await unit_at(heads, await heads.head(of), intake_objects)


async def unit_at(heads: UnitHeads, own: UnitHead, intake_objects: Iterable[StoredObject]) -> Live:
    """As `unit_by`, of one whose own chain was read before, and ends at `own`. Requests: up to two lists, and
    what is new of the chains that feed it."""
    # an output is there before anything consumes it, so what feeds the unit is read behind its own chain
    others = [await heads.head(feeder) for feeder in feeders(own.unit)]
    return fold(own, intake_objects, others)


def fold(own: UnitHead, intake_objects: Iterable[StoredObject], others: Iterable[UnitHead]) -> Live:
    """As `unit`, from chains that were read. Raises Fatal, naming the entry, for a record consumed twice.

    What was consumed of an object that is not known is passed over: its bytes may be gone already, and who
    lists what is there does not see it.
    """
    found = {stored.key: LiveObject(stored) for stored in intake_objects if landing_unit(stored) == own.unit}
    for head in (own, *others):
        for entry in head.entries:
            landed = [stored for stored in entry.outputs if landing_unit(stored) == own.unit]
            found |= {stored.key: LiveObject(stored) for stored in landed}
    for entry in own.entries:
        for consumed in entry.consumed:
            if consumed.key in found:
                found[consumed.key] = _without(found[consumed.key], consumed, entry)
    live = Live(own, {}, {}, {})
    for key, each in found.items():
        place = live.objects if each.left else live.free if each.leave else live.spent
        place[key] = each
    return live


def _without(each: LiveObject, consumed: Consumed, entry: UnitEntry) -> LiveObject:
    if consumed.records is None and consumed.count == each.left:
        whole = ((0, each.stored.records - 1),) if each.stored.records else ()
        return LiveObject(each.stored, whole, each.leave or entry.kind in LEAVE)
    taken = each.lines if consumed.records is None else consumed.records
    if line_ranges.count(line_ranges.common(taken, each.lines)) != consumed.count:
        raise entries.broken(
            entry.key, f"it consumes {consumed.count} records of {each.stored.key}, {each.left} were live"
        )
    return LiveObject(each.stored, line_ranges.union(each.consumed, taken), each.leave or entry.kind in LEAVE)
