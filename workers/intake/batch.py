"""A batch: what was sorted of one partition and waits to be flushed.

Dropping one is always safe: until its entry exists in the ledger, the log still holds all of it.
"""

from workers.intake.allowances import Allowances
from workers.intake.sort import Sorting

PIECE_OVERHEAD = 208  # bytes: a view of a chunk's text, its place in a list, and what malloc adds
GROUP_OVERHEAD = 2048  # bytes: a group, its list, and what its flush keeps of it until its entry is there


class Batch:
    """The offsets [first, next) of one partition."""

    __slots__ = ("began", "first", "next", "oldest", "policy", "records", "sorting")

    def __init__(self, first: int, allowances: Allowances | None = None) -> None:
        self.first = first
        self.next = first
        self.sorting = Sorting(allowances)
        self.records = 0
        self.began: float | None = None  # seconds of uptime: when its first chunk came
        self.oldest: int | None = None  # ms: the broker's time of its first record
        self.policy: dict[str, tuple[int, ...]] = {}  # topic → highest offset applied a partition

    @property
    def gaps(self) -> int:
        """Offsets that hold no record: compacted away, or a transaction's marker."""
        return self.next - self.first - self.records

    @property
    def empty(self) -> bool:
        return self.next == self.first

    @property
    def buffered_bytes(self) -> int:
        """Bytes in memory: small pieces cost more as views than as text, and so do small groups."""
        groups = len(self.sorting.lines)
        return self.sorting.plain_bytes + PIECE_OVERHEAD * self.sorting.pieces + GROUP_OVERHEAD * groups

    @property
    def plain_bytes(self) -> int:
        return self.sorting.plain_bytes

    def extend(self, end: int, records: int, *, uptime: float, oldest: int | None) -> None:
        """Takes note of a chunk that was sorted into `sorting` and ends before offset `end`.

        `uptime` in seconds of a monotonic clock, `oldest` in ms since the epoch.
        """
        self.next = end
        self.records += records
        if self.began is None:
            self.began = uptime
        if self.oldest is None:
            self.oldest = oldest
