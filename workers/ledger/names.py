"""The names of everything in the bucket (docs/format.md). Names are formats: they never change."""

import re
from typing import TYPE_CHECKING, NamedTuple

from workers.errors import Poison
from workers.intake.dispositions import Group

if TYPE_CHECKING:  # which takes the form of an id from here
    from workers.sealing.keys import Unit

FLEET = "fleet.json"
FIRST_DIGITS = 20  # more than an offset has: as text, entries sort as their offsets do
UNITS = "units/v1/"
OUTPUTS_MAX = 10_000  # of one unit entry: four digits number them
ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z", re.ASCII)


def topic_prefix(topic: str) -> str:
    """Of all chains of a topic's name."""
    return f"ledger/v1/{topic}/"


def incarnation_of(folder: str) -> tuple[str, int] | None:
    """(topic id, incarnation) of `{topic_id}.{incarnation}`; None for any other name."""
    topic_id, _, number = folder.rpartition(".")
    return (topic_id, int(number)) if topic_id and number.isascii() and number.isdigit() else None


class ChainId(NamedTuple):
    """One log of one partition. An acknowledged loss opens the next incarnation."""

    topic: str
    topic_id: str
    incarnation: int
    partition: int

    @property
    def prefix(self) -> str:
        return f"{topic_prefix(self.topic)}{self.topic_id}.{self.incarnation}/{self.partition:05d}/"

    @property
    def genesis(self) -> str:
        return f"{self.prefix}genesis.json"

    def entry(self, first: int) -> str:
        return f"{self.prefix}{first:020d}.json"

    def slot(self, key: str) -> int | None:
        """`first` of the entry of that name; None for the genesis, and for a name that no entry has."""
        name = key.removeprefix(self.prefix).removesuffix(".json")
        if len(name) != FIRST_DIGITS or not name.isascii() or not name.isdigit():
            return None
        return int(name) if key == self.entry(int(name)) else None

    def data(self, group: Group, first: int, following: int, attempt: str, suffix: str = "ndjson.zst") -> str:
        """The object of `group` in the batch [first, following) of this chain."""
        chain = f"{self.topic}-{self.topic_id}.{self.incarnation}-{self.partition:05d}"
        return f"{group_prefix(group)}{chain}-{first:020d}-{following:020d}-{attempt}.{suffix}"


def group_prefix(group: Group) -> str:
    """Of the objects of a group."""
    return f"data/ws={group.workspace}/src={group.source}/day={group.day}/{group.disposition}/"


def unit_prefix(unit: "Unit") -> str:
    """Of the chain of a unit."""
    return f"{UNITS}ws={unit.workspace}/src={unit.source}/day={unit.day}/clock={unit.clock}/"


def unit_entry(unit: "Unit", seq: int) -> str:
    return f"{unit_prefix(unit)}{seq:08d}.json"


def unit_output(
    group: Group, consumer: "Unit", seq: int, number: int, attempt: str, suffix: str = "ndjson.zst"
) -> str:
    """The object of `group`, of the same day, that entry `seq` of `consumer`'s chain is to list.

    `number` tells the outputs of one attempt apart, from 0 to OUTPUTS_MAX - 1.
    """
    chain = f"{consumer.workspace}.{consumer.source}.{consumer.clock}"
    return f"{group_prefix(group)}from={chain}.{seq:08d}.{number:04d}.{attempt}.{suffix}"


def checked_id(kind: str, value: str) -> str:
    """`value` if it can stand in a name, else Poison."""
    if not ID.match(value):
        raise Poison(
            f"{kind} {value[:80]!r} can't stand in an object name",
            remedy="Use 1 to 64 of A-Z a-z 0-9 _ -",
        )
    return value
