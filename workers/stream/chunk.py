"""A chunk: what one fetch brought of one partition; and the Owner, who says where to start and takes it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Run(NamedTuple):
    """Records that follow each other and were appended at one time, as columns: some of one Kafka batch."""

    offsets: Sequence[int]  # ascending
    appended: int | None  # ms since the epoch by the broker's clock; None if the topic keeps the producers'
    values: list[bytes | None] | tuple[bytes | None, ...]  # one an offset


class Chunk(NamedTuple):
    """[start, end) of one partition: every offset in it that holds a readable record is in `runs`.

    The others hold none: transaction markers, aborted transactions, compacted records. Chunks of
    a partition follow without a gap: `start` is where it was claimed, or the previous chunk's `end`.
    """

    partition: int
    start: int
    end: int
    runs: Sequence[Run]  # none of which is empty

    @property
    def records(self) -> int:
        """How many there are."""
        return sum(len(run.values) for run in self.runs)

    @property
    def first(self) -> int | None:
        """The lowest offset that holds a record; None where none does."""
        return self.runs[0].offsets[0] if self.runs else None

    def values(self) -> Iterator[bytes | None]:
        for run in self.runs:
            yield from run.values


class Owner(Protocol):
    """Who owns the partitions that this member of the group holds. Called from one event loop, by one stream.

    An exception from any of these stops the stream: `ArchiveStream.run` raises it and the process exits 1.
    """

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        """Where to start each partition; None leaves it paused (halted) while the others go on.

        Asked for each partition apart, all at once: one goes on as soon as its own claim returns. May wait as
        long as it must: membership is kept meanwhile. Cancelled if the partitions are revoked.
        """

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Not ours any more: drop what was not committed, release `take`, return quickly.

        A drain under way may end first: the group waits for that, for `rebalance_timeout` at most.

        May name partitions that were never claimed.
        """

    async def take(self, chunk: Chunk) -> None:
        """The next chunk of a partition. May wait (back-pressure) until `revoked` or `drain` releases it."""

    async def drain(self) -> None:
        """Nothing more comes and the group is not left yet: flush what there is, within the time allowed."""
