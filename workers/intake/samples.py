"""Which records the judge of origins is told of: foreign ones all, the customer's own ones by sample.

The hot path only counts and slices, a group of records at a time: what is kept is read later, beside it
(observing.py). Bounded in records and in bytes, whoever floods it.
"""

from collections.abc import Sequence

from workers.intake.dispositions import PLATFORM, Decision, Disposition

# What the rules call so is of another host than the workspace lists.
FOREIGN = frozenset({"canonical_shadow", "foreign_origin", "foreign_claim", "copied_origin"})
UNSEEN = frozenset({"null_origin"})  # names no host
ONE_IN = 64  # of the records beyond the following
OWN_FREE = 256  # a span: what has little traffic is seen whole, for some 6 ms a span
OWN_OF_GROUP = 16  # so that one source leaves room for the others
FOREIGN_FREE = 1024
FOREIGN_OF_GROUP = 512
BYTES_MAX = 4 * 1024 * 1024  # of the records that a span keeps


class Group:
    """Records that the rules said the same of: how many, and those that were kept."""

    __slots__ = ("kept", "records")

    def __init__(self) -> None:
        self.records = 0
        self.kept: list[bytes] = []


class Samples:
    """Of a span [start, end) of one partition's offsets. Times in ms since the epoch."""

    __slots__ = ("_kept", "_records", "began", "bytes", "end", "first_at", "groups", "last_at", "start")

    def __init__(self, start: int) -> None:
        self.start = self.end = start
        self.began: float | None = None  # seconds of uptime: when its first records came
        self.first_at = self.last_at = 0  # of the chunks that it is made of
        self.groups: dict[Decision, Group] = {}
        self._records = [0, 0]  # own, foreign
        self._kept = [0, 0]
        self.bytes = 0  # of what is kept

    def note(self, end: int, uptime: float) -> None:
        """A chunk that ends before this offset was seen, at `uptime` in seconds of a monotonic clock."""
        self.end = end
        if self.began is None:
            self.began = uptime

    def see(self, decision: Decision, lines: Sequence[bytes], first_at: int, last_at: int) -> None:
        """Some more records, appended within these times."""
        if not observed(decision):
            return
        if not self.groups:
            self.first_at, self.last_at = first_at, last_at
        self.first_at, self.last_at = min(self.first_at, first_at), max(self.last_at, last_at)
        group = self.groups.get(decision)
        if group is None:
            group = self.groups[decision] = Group()
        foreign = decision.reason in FOREIGN
        count = len(lines)
        group.records += count
        self._records[foreign] += count
        free, of_group = (FOREIGN_FREE, FOREIGN_OF_GROUP) if foreign else (OWN_FREE, OWN_OF_GROUP)
        room = free + self._records[foreign] // ONE_IN - self._kept[foreign]
        due = min(room, of_group + group.records // ONE_IN - len(group.kept), count)
        if due <= 0 or self.bytes >= BYTES_MAX:
            return
        kept = lines[:: count // due][:due]
        self._kept[foreign] += due
        self.bytes += sum(map(len, kept))
        group.kept += kept


def observed(decision: Decision) -> bool:
    """Whether records of it are stored as the workspace's, or would be if they were no copy's."""
    if decision.workspace == PLATFORM or decision.reason in UNSEEN:
        return False
    return (
        decision.disposition in (Disposition.ACCEPTED, Disposition.FLAGGED)
        or decision.reason == "copied_origin"
    )
