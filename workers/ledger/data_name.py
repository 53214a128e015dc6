"""Reads the name of a data object: the exact inverse of ChainId.data. What does not fit is never touched."""

import re
from typing import NamedTuple

from workers.intake.dispositions import STORED, Clock, Disposition, Group, clock_of
from workers.ledger.names import ID, ChainId
from workers.ledger.pack import Compression

ROOT = "data/"
# Kafka writes a topic id as 22 characters, `-` among them, and a topic's name may hold `-` and `.` too: only
# the fixed lengths from the right make the name unambiguous
NAME = re.compile(
    r"data/ws=(?P<workspace>[^/]+)/src=(?P<source>[^/]+)/day=(?P<day>\d{4}-\d{2}-\d{2})/(?P<disposition>[a-z-]+)/"
    r"(?P<topic>[A-Za-z0-9._-]{1,249})-(?P<topic_id>[A-Za-z0-9_-]{22})\.(?P<incarnation>\d{1,9})"
    r"-(?P<partition>\d{5,10})-(?P<first>\d{20})-(?P<next>\d{20})-(?P<attempt>[0-9a-f]{16})"
    r"\.(?P<suffix>[a-z.]+)\Z",
    re.ASCII,
)
SUFFIXES = frozenset(compression.suffix for compression in Compression)
KEPT = {disposition.value: disposition for disposition in STORED}


class DataName(NamedTuple):
    """What an object's name says: of which batch, [first, next) of `chain`, and of which attempt at it."""

    workspace: str
    source: str
    day: str
    disposition: Disposition
    chain: ChainId
    first: int
    next: int
    attempt: str
    suffix: str

    @property
    def clock(self) -> Clock:
        """It stands in no name: it follows from the rest."""
        return clock_of(self.workspace, self.source, self.disposition)

    @property
    def key(self) -> str:
        group = Group(self.workspace, self.source, self.day, self.disposition, self.clock)
        return self.chain.data(group, self.first, self.next, self.attempt, self.suffix)


def parse(key: str) -> DataName | None:
    """None for a key that no flush would have written."""
    match = NAME.match(key)
    if match is None:
        return None
    found = match.groupdict()
    disposition = KEPT.get(found["disposition"])
    if disposition is None or found["suffix"] not in SUFFIXES:
        return None
    if not ID.match(found["workspace"]) or not ID.match(found["source"]):
        return None
    name = DataName(
        found["workspace"],
        found["source"],
        found["day"],
        disposition,
        ChainId(found["topic"], found["topic_id"], int(found["incarnation"]), int(found["partition"])),
        int(found["first"]),
        int(found["next"]),
        found["attempt"],
        found["suffix"],
    )
    return name if name.first < name.next and name.key == key else None
