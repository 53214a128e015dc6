"""A batch: what was sorted of one partition and waits to be flushed.

Dropping one is always safe: until its entry exists in the ledger, the log still holds all of it.
"""

from workers.intake.sort import Sorting


class Batch:
    """The offsets [first, next) of one partition."""

    __slots__ = ("began", "first", "next", "oldest", "policy", "records", "sorting")

    def __init__(self, first: int) -> None:
        self.first = first
        self.next = first
        self.sorting = Sorting()
        self.records = 0
        self.began: int | None = None  # ms: when its first chunk came
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
    def plain_bytes(self) -> int:
        return self.sorting.plain_bytes

    def extend(self, end: int, records: int, *, now: int, oldest: int | None) -> None:
        """Takes note of a chunk that was sorted into `sorting` and ends before offset `end`. Times in ms."""
        self.next = end
        self.records += records
        if self.began is None:
            self.began = now
        if self.oldest is None:
            self.oldest = oldest
