"""A topic of a simulated Kafka: logs with gaps, open transactions, a moving start, cuts and new leaders."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from tests.runs import LOG_APPEND_TIME


class Holds(Enum):
    """What an offset holds. Of these only a RECORD is ever delivered."""

    RECORD = "record"
    OPEN = "open"  # of a transaction that is neither committed nor aborted
    ABORTED = "aborted"
    MARKER = "marker"
    COMPACTED = "compacted"


@dataclass
class Slot:
    """One offset. `kind` and `number` are the harness's own: what was produced, and which record it is."""

    holds: Holds
    offset: int
    value: bytes | None = None
    timestamp: int = 0  # ms since the epoch
    timestamp_type: int = LOG_APPEND_TIME
    key: bytes | None = None
    kind: str = ""
    number: int = -1


class OutOfRange(Exception):
    """The position is not in the log."""


class Fetched(NamedTuple):
    epoch: int  # the leader's
    end: int  # the position after the records
    records: Sequence[Slot]


@dataclass
class Log:
    """One partition. `versions` keeps what each cut threw away, for the harness."""

    start: int = 0
    slots: list[Slot] = field(default_factory=list)
    base: int = 0  # the offset of slots[0]; those below `start` are kept for the harness
    epoch: int = 0
    versions: list[list[Slot]] = field(default_factory=list)
    starts: set[int] = field(default_factory=set)  # every offset at which it ever began

    def __post_init__(self) -> None:
        self.base = self.start
        self.starts.add(self.start)

    @property
    def end(self) -> int:
        return self.base + len(self.slots)

    @property
    def stable(self) -> int:
        """The last stable offset: nothing from an open transaction on is delivered."""
        return next((slot.offset for slot in self.slots if slot.holds is Holds.OPEN), self.end)

    def append(self, slot: Slot) -> None:
        slot.offset = self.end
        self.slots.append(slot)

    def at(self, offset: int) -> Slot | None:
        return self.slots[offset - self.base] if self.base <= offset < self.end else None

    def close_transaction(self, *, commit: bool) -> bool:
        """Decides the open transaction, if there is one."""
        opened = [slot for slot in self.slots if slot.holds is Holds.OPEN]
        for slot in opened:
            slot.holds = Holds.RECORD if commit else Holds.ABORTED
        if opened:
            self.append(Slot(Holds.MARKER, self.end))
        return bool(opened)

    def expire(self, start: int) -> None:
        """Retention: the log begins later."""
        self.start = max(self.start, min(start, self.stable))
        self.starts.add(self.start)

    def cut(self, offset: int) -> None:
        """What an unclean election does: a new leader, whose log ends earlier."""
        self.versions.append([*self.slots])
        del self.slots[max(0, offset - self.base) :]
        self.epoch += 1

    def fetch(self, position: int, limit: int, *, beyond: bool) -> tuple[int, list[Slot]]:
        """As aiokafka's consumer sees it: the new position, and at most `limit` records.

        `beyond`: whether the position moves past gaps behind the last record. Nothing without a record.
        """
        if not self.start <= position <= self.end:
            raise OutOfRange(f"{position} is not in [{self.start}, {self.end}]")
        records: list[Slot] = []
        end, stable = position, self.stable
        for slot in self.slots[position - self.base : stable - self.base]:
            if slot.holds is Holds.RECORD:
                if len(records) == limit:
                    break
                records.append(slot)
                end = slot.offset + 1
            elif beyond and records:
                end = slot.offset + 1
        return end, records

    def last_record(self) -> int | None:
        """The offset of the last record that may be delivered."""
        stable = self.stable
        found = (s.offset for s in reversed(self.slots) if s.offset < stable and s.holds is Holds.RECORD)
        return next(found, None)


@dataclass
class Topic:
    """`name` stays, `topic_id` is new each time that it is made."""

    name: str
    topic_id: str
    logs: list[Log]
    former: list[tuple[str, list[Log]]] = field(default_factory=list)

    def make_anew(self, topic_id: str) -> None:
        self.former.append((self.topic_id, self.logs))
        self.topic_id = topic_id
        self.logs = [Log() for _ in self.logs]

    def grow(self) -> None:
        self.logs.append(Log())

    def fetch(self, positions: dict[int, int], rng: random.Random) -> dict[int, Fetched | OutOfRange]:
        """Of each asked partition what there is, maybe no record."""
        found: dict[int, Fetched | OutOfRange] = {}
        for partition, position in positions.items():
            log = self.logs[partition]
            try:
                end, records = log.fetch(position, 1 + rng.randrange(8), beyond=rng.random() < 0.5)
            except OutOfRange as error:
                found[partition] = error
                continue
            found[partition] = Fetched(log.epoch, end, records)
        return found
