"""A chunk: what one fetch brought of one partition; and the Owner, who says where to start and takes it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Record(Protocol):
    """A record as Kafka delivered it (aiokafka's DefaultRecord)."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int:
        """ms since the epoch; whose clock it was says `timestamp_type`."""

    @property
    def timestamp_type(self) -> int:
        """0: the producer's CreateTime, 1: the broker's LogAppendTime."""

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...


class Chunk(NamedTuple):
    """[start, end) of one partition: every offset in it that holds a readable record is in `records`.

    The others hold none: transaction markers, aborted transactions, compacted records. Chunks of
    a partition follow without a gap: `start` is where it was claimed, or the previous chunk's `end`.
    """

    partition: int
    start: int
    end: int
    records: Sequence[Record]


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

        May name partitions that were never claimed.
        """

    async def take(self, chunk: Chunk) -> None:
        """The next chunk of a partition. May wait (back-pressure) until `revoked` or `drain` releases it."""

    async def drain(self) -> None:
        """Nothing more comes and the group is not left yet: flush what there is, within the time allowed."""
