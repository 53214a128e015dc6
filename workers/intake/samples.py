"""Which records the judge of origins is told of: foreign ones all, the customer's own ones by sample.

The hot path only counts and slices, a group of records at a time: what is kept is read later, beside it
(observing.py). Bounded in records and in bytes, whoever floods it.
"""

from collections.abc import Iterable, Sequence

from workers.intake.dispositions import PLATFORM, Decision, Disposition
from workers.intake.lines import Lines, one_line

# What the rules call so is of another host than the workspace lists.
FOREIGN = frozenset({"canonical_shadow", "foreign_origin", "foreign_claim", "copied_origin"})
UNSEEN = frozenset({"null_origin"})  # names no host
# each of own records, and of foreign ones
FREE = (256, 256)  # a span: what has little traffic is seen whole, for some 5 ms a span
OF_GROUP = (16, 128)  # so that one source leaves room for the others
ONE_IN = (256, 64)  # of the records beyond these
BYTES_MAX = 4 * 1024 * 1024  # of the records that a span keeps


class Group:
    """Records that the rules said the same of: how many, and those that were kept."""

    __slots__ = ("due", "foreign", "kept", "records")

    def __init__(self, *, foreign: bool) -> None:
        self.foreign = foreign
        self.records = 0
        self.kept = Lines()
        self.due = 0  # so many records let the group keep another one

    def keep(self, lines: Sequence[bytes], room: int) -> int:
        """Some of the newest records, spread over them, which are counted already. `room` is above 0.

        How many were kept.
        """
        of_group, one_in, count = OF_GROUP[self.foreign], ONE_IN[self.foreign], len(lines)
        due = min(room, of_group + self.records // one_in - len(self.kept), count)
        self.kept.extend([one_line(line) for line in lines[:: count // due][:due]])
        self.due = max(0, (len(self.kept) - of_group + 1) * one_in)
        return due


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

    def see(self, chunk: Iterable[tuple[Decision, Sequence[bytes]]], first_at: int, last_at: int) -> None:
        """The records of a chunk, by what the rules said of them; appended within these times."""
        groups, records, had_some = self.groups, self._records, bool(self.groups)
        room = [FREE[kind] + records[kind] // ONE_IN[kind] - self._kept[kind] for kind in (False, True)]
        seen = False
        for decision, lines in chunk:
            group = groups.get(decision)
            if group is None:
                if not observed(decision):
                    continue
                group = groups[decision] = Group(foreign=decision.reason in FOREIGN)
            seen = True
            foreign, count = group.foreign, len(lines)
            group.records += count
            records[foreign] += count
            if room[foreign] > 0 and group.records >= group.due and self.bytes < BYTES_MAX:
                before = group.kept.plain_bytes
                kept = group.keep(lines, room[foreign])
                room[foreign] -= kept
                self._kept[foreign] += kept
                self.bytes += group.kept.plain_bytes - before
        if seen:
            self.first_at = min(self.first_at, first_at) if had_some else first_at
            self.last_at = max(self.last_at, last_at) if had_some else last_at


def observed(decision: Decision) -> bool:
    """Whether records of it are stored as the workspace's, or would be if they were no copy's."""
    if decision.workspace == PLATFORM or decision.reason in UNSEEN:
        return False
    return (
        decision.disposition in (Disposition.ACCEPTED, Disposition.FLAGGED)
        or decision.reason == "copied_origin"
    )
