"""The names of everything in the bucket (docs/format.md). Names are formats: they never change."""

import re
from typing import NamedTuple

from workers.errors import Poison
from workers.intake.dispositions import Group

FLEET = "fleet.json"
FIRST_DIGITS = 20  # more than an offset has: as text, entries sort as their offsets do
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
        return (
            f"data/ws={group.workspace}/src={group.source}/day={group.day}/{group.disposition}/"
            f"{chain}-{first:020d}-{following:020d}-{attempt}.{suffix}"
        )


def checked_id(kind: str, value: str) -> str:
    """`value` if it can stand in a name, else Poison."""
    if not ID.match(value):
        raise Poison(
            f"{kind} {value[:80]!r} can't stand in an object name",
            remedy="Use 1 to 64 of A-Z a-z 0-9 _ -",
        )
    return value
