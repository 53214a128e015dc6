"""What becomes of a record: exactly one disposition each, with the name of the rule that gave it."""

from enum import StrEnum
from typing import NamedTuple

PLATFORM = "_platform"  # the platform's own workspace; customers' ids never start with an underscore
DEAD_LETTERS = "dead-letters"  # its source for what can't be read
UNCLAIMED = "unclaimed"  # its source for records whose write key nobody knows yet


class _Quick(StrEnum):
    """In the keys of the hot path's dictionaries: hashed in C, as the texts that they are."""

    __hash__ = str.__hash__


class Disposition(_Quick):
    ACCEPTED = "accepted"
    FLAGGED = "flagged"
    QUARANTINED = "quarantined"
    REJECTED = "rejected"
    DEAD_LETTERED = "dead-lettered"
    LOST = "lost"
    GAP = "gap"


STORED = frozenset(
    {Disposition.ACCEPTED, Disposition.FLAGGED, Disposition.QUARANTINED, Disposition.DEAD_LETTERED}
)


class Clock(_Quick):
    """Which retention clock disposes of a stored record."""

    MAIN = "main"
    QUARANTINE = "quarantine"
    UNCLAIMED = "unclaimed"


class Decision(NamedTuple):
    """What the rules said of a record. Where it is not stored, workspace and source are who it was for."""

    disposition: Disposition
    reason: str
    workspace: str
    source: str
    clock: Clock = Clock.MAIN


class Group(NamedTuple):
    """Records that share an object: one workspace, source, day, disposition and clock."""

    workspace: str
    source: str
    day: str  # UTC day of the broker's append time, YYYY-MM-DD
    disposition: Disposition
    clock: Clock


def clock_of(workspace: str, source: str, disposition: Disposition) -> Clock:
    """The clock of what is stored there as that: the rules give no other, so no name says it."""
    if disposition is not Disposition.QUARANTINED:
        return Clock.MAIN
    return Clock.UNCLAIMED if (workspace, source) == (PLATFORM, UNCLAIMED) else Clock.QUARANTINE
