"""Reads the name of a data object: the exact inverse of ChainId.data and names.unit_output.

What does not fit is never touched.
"""

import re
from typing import NamedTuple

from workers.intake.dispositions import STORED, Clock, Disposition, Group, clock_of
from workers.ledger.names import ID, ChainId, unit_output
from workers.ledger.pack import Compression
from workers.sealing.keys import Unit

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
# no id holds a dot
OUTPUT = re.compile(
    r"data/ws=(?P<workspace>[^/]+)/src=(?P<source>[^/]+)/day=(?P<day>\d{4}-\d{2}-\d{2})/(?P<disposition>[a-z-]+)/"
    r"from=(?P<from_workspace>[^/.]+)\.(?P<from_source>[^/.]+)\.(?P<clock>[a-z]+)"
    r"\.(?P<seq>\d{8})\.(?P<number>\d{4})\.(?P<attempt>[0-9a-f]{16})\.(?P<suffix>[a-z.]+)\Z",
    re.ASCII,
)
CLOCKS = {clock.value: clock for clock in Clock}
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
    def unit(self) -> Unit:
        """In which its records are live."""
        return Unit(self.workspace, self.source, self.day, self.clock)

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


class OutputName(NamedTuple):
    """What the name of a unit entry's output says: meant for entry `seq` of the chain of `consumer`."""

    workspace: str
    source: str
    day: str
    disposition: Disposition
    consumer: Unit
    seq: int
    number: int  # among the outputs of one attempt
    attempt: str
    suffix: str

    @property
    def unit(self) -> Unit:
        """In which its records are live."""
        return Unit(
            self.workspace,
            self.source,
            self.day,
            clock_of(self.workspace, self.source, self.disposition),
        )

    @property
    def key(self) -> str:
        group = Group(self.workspace, self.source, self.day, self.disposition, self.unit.clock)
        return unit_output(group, self.consumer, self.seq, self.number, self.attempt, self.suffix)


def parse_output(key: str) -> OutputName | None:
    """None for a key that no consumer of a unit would have written."""
    match = OUTPUT.match(key)
    if match is None:
        return None
    found = match.groupdict()
    disposition, clock = KEPT.get(found["disposition"]), CLOCKS.get(found["clock"])
    if disposition is None or clock is None or found["suffix"] not in SUFFIXES:
        return None
    ids = (found["workspace"], found["source"], found["from_workspace"], found["from_source"])
    if not all(ID.match(each) for each in ids):
        return None
    name = OutputName(
        found["workspace"],
        found["source"],
        found["day"],
        disposition,
        Unit(found["from_workspace"], found["from_source"], found["day"], clock),
        int(found["seq"]),
        int(found["number"]),
        found["attempt"],
        found["suffix"],
    )
    return name if name.seq > 0 and name.key == key else None
