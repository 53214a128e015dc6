"""What lies unclaimed of a day: which objects have live records, and of which write keys.

An object's keys are learnt by opening it once, and kept as hashes, four bytes each. As a record of an
unknown key counts for 512 bytes of its budget at least, that is at most a 128th of what may lie unclaimed.
Hashes are of this process: nobody can aim at them. Two keys with one hash cost opening an object in vain.
"""

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import structlog

from workers.errors import Fatal, Poison, StrongroomError
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition, Group
from workers.intake.kept import DAY, UNCLAIMED_DAYS
from workers.intake.policy import Policy
from workers.ledger import data_name, entries, live, unit_chain
from workers.ledger.chain import read
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.live import Live, LiveObject
from workers.ledger.names import group_prefix
from workers.ledger.read import Keys, open_object
from workers.ledger.replay_plan import EPOCH, Line, decidable, live_lines
from workers.ledger.unit_chain import UnitHead
from workers.ledger.walk import listed
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyDisabled, KeyShredded
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()

BITS = 0xFFFFFFFF
FEW = 16  # times as many hashes as keys that are looked for: from there on a search is quicker than a walk


class Withdrawn(StrongroomError):
    """Nobody reads the unit's objects any more. Nothing of them is broken, and nobody claims them now."""


class Holding:
    """Of one object: the keys of its live records."""

    __slots__ = ("_hashes", "waiting")

    def __init__(self, write_keys: Iterable[str], waiting: Iterable[str]) -> None:
        """`waiting`: those that policy knows and the rules can't decide about yet; few, being registered."""
        self._hashes = array("I", sorted({hashed(key) for key in write_keys}))
        self.waiting = frozenset(waiting)

    def may_hold(self, hashes: Set[int]) -> bool:
        if len(hashes) * FEW > len(self._hashes):
            return not hashes.isdisjoint(self._hashes)
        return any(self._has(each) for each in hashes)

    def _has(self, value: int) -> bool:
        at = bisect_left(self._hashes, value)
        return at < len(self._hashes) and self._hashes[at] == value


def hashed(write_key: str) -> int:
    return hash(write_key) & BITS


@dataclass(frozen=True, slots=True)
class Reading:
    """What unclaimed objects are read with; `step` is told of all that gets done."""

    ledger: Store
    data: Store
    keys: Keys | None  # None: nothing is opened
    retry: Retry
    policy: Policy
    broken: Callable[[str, StrongroomError], None]  # told of what can't be read: an object's name, and why
    step: Callable[[], None] = lambda: None

    def decidable(self, write_key: str) -> bool:
        return decidable(self.policy, write_key)


class UnclaimedUnit:
    """One day's. `due`: objects that may have records of keys that can be decided about, in their order."""

    def __init__(self, unit: Unit, reading: Reading) -> None:
        self.unit = unit
        self.live: dict[str, LiveObject] = {}
        self.due: dict[str, None] = {}
        self._reading = reading
        self._head: UnitHead | None = None  # as it was read last
        self._seen: tuple[frozenset[str], int] | None = None  # names and newest entry, if all was learnt
        self._stored: dict[str, StoredObject] = {}  # of intake, by its entries
        self._holdings: dict[str, Holding] = {}

    @property
    def records(self) -> int:
        return sum(each.left for each in self.live.values())

    @property
    def plain_bytes(self) -> int:
        """Of the objects: of an object of which only a part is live, all of it."""
        return sum(each.stored.plain_bytes for each in self.live.values())

    def appeared(self, hashes: Set[int]) -> None:
        """Keys with these hashes can be decided about now, and perhaps some whose workspace was missing."""
        for name, holding in self._holdings.items():
            if holding.may_hold(hashes) or any(map(self._reading.decidable, holding.waiting)):
                self.due[name] = None

    async def look(self, objects: IntakeObjects) -> None:
        """Finds what is new and learns its keys: two lists, where nothing is.

        Raises Fatal for a broken chain, and Withdrawn.
        """
        reading = self._reading
        names = await self._names()
        known = 0 if self._head is None else self._head.seq
        newest = await unit_chain.newest(reading.ledger, self.unit, reading.retry, known)
        if (names, newest) == self._seen:
            return
        complete = await self._list(names, objects)
        await self.refresh()
        for name in self.live.keys() - self._holdings.keys():
            complete &= await self._learn(name)
        self._seen = (names, newest) if complete else None

    async def find(self, objects: IntakeObjects) -> None:
        """What is live, and opens nothing. Raises Fatal for a broken chain."""
        await self._list(await self._names(), objects)
        await self.refresh()

    async def refresh(self) -> Live:
        """By the chain as it is now: what is new of it is read."""
        ledger, retry = self._reading.ledger, self._reading.retry
        return self.behind(await unit_chain.head(ledger, self.unit, retry, self._head))

    def behind(self, head: UnitHead) -> Live:
        """By a chain that somebody has read. Nothing else feeds an unclaimed unit."""
        self._head = head
        return self._set(live.fold(head, self._stored.values(), ()))

    async def open(self, name: str) -> list[Line] | None:
        """The live records of an object. None if it can't be read, which is told.

        Raises Withdrawn where the unit's key is disabled or gone: it is being disposed of.
        """
        reading, each = self._reading, self.live[name]
        assert reading.keys is not None, "nothing can be opened"  # noqa: S101  # a fault of ours
        try:
            values = await open_object(reading.data, reading.keys, each.stored, reading.retry)
        except (KeyDisabled, KeyShredded) as error:
            raise Withdrawn(error.message, remedy=error.remedy) from None
        except (Fatal, Poison) as error:
            reading.broken(name, error)
            return None
        lines = await asyncio.to_thread(live_lines, values, each.lines)
        reading.step()
        return lines

    async def committed_at(self, name: str) -> int | None:
        """Of the batch that brought the object's records; None for an output of the unit's own chain."""
        parsed = data_name.parse(name)
        if parsed is None:
            return None
        key = parsed.chain.entry(parsed.first)
        body = await read(self._reading.ledger, key, self._reading.retry)
        entry = None if body is None else entries.decode_slot(body, key)
        return entry.committed_at if isinstance(entry, Entry) else None

    async def _names(self) -> frozenset[str]:
        there = listed(self._reading.data, prefix(self.unit), self._reading.retry)
        return frozenset([stat.key async for stat in there])

    async def _list(self, names: frozenset[str], objects: IntakeObjects) -> bool:
        """Asks the ledger about names that are new. False if an entry is to come, or never will."""
        complete = True
        for name in names - self._stored.keys():
            stored = await objects.listed(name)
            if stored is not None:
                self._stored[name] = stored
            elif data_name.parse(name) is not None:
                complete = False
            self._reading.step()
        self._stored = {name: stored for name, stored in self._stored.items() if name in names}
        return complete

    async def _learn(self, name: str) -> bool:
        """False if the object can't be read: it is tried again."""
        lines = await self.open(name)
        if lines is None:
            return False
        reading = self._reading
        keys = {line.write_key for line in lines}
        known = [key for key in keys if reading.policy.write_key(key) is not None]
        self._holdings[name] = Holding(keys, (key for key in known if not reading.decidable(key)))
        if any(map(reading.decidable, known)):
            self.due[name] = None
        return True

    def _set(self, now: Live) -> Live:
        self.live = now.objects
        self._holdings = {name: each for name, each in self._holdings.items() if name in self.live}
        self.due = {name: None for name in self.due if name in self.live}
        return now


def days(now: int) -> list[str]:
    """The days (UTC) of which records may be unclaimed at `now` (ms since the epoch), the oldest first."""
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    return [(today - timedelta(days=back)).isoformat() for back in reversed(range(UNCLAIMED_DAYS + 1))]


def expires_at(day: str) -> int:
    """When the unclaimed records of a day may be disposed of (ms since the epoch)."""
    return (date.fromisoformat(day).toordinal() - EPOCH + 1 + UNCLAIMED_DAYS) * DAY


def unclaimed_unit(day: str) -> Unit:
    return Unit(PLATFORM, UNCLAIMED, day, Clock.UNCLAIMED)


def prefix(unit: Unit) -> str:
    """Of the names of its objects."""
    group = Group(unit.workspace, unit.source, unit.day, Disposition.QUARANTINED, unit.clock)
    return group_prefix(group)
