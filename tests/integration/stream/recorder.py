"""An Owner that records what it is told, over a ledger in memory that commits chunks or fences them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.chunk import Chunk
from workers.stream.connection import KafkaConnection

QUICK = StreamOptions(
    session_timeout=6.0, heartbeat_interval=0.5, metadata_max_age=1.0, drain_timeout=5.0, stop_signals=()
)


class Ledger:
    """Where each partition is; `values` are those that a commit won, in order."""

    def __init__(self, heads: Mapping[int, int] | None = None) -> None:
        self.heads: dict[int, int] = dict(heads or {})
        self.values: list[bytes] = []

    def commit(self, chunk: Chunk) -> bool:
        if self.heads.get(chunk.partition, 0) != chunk.start:
            return False
        self.heads[chunk.partition] = chunk.end
        self.values += [value or b"" for value in chunk.values()]
        return True


class Recorder:
    """Claims at the ledger's heads (`halt`ed partitions: None), commits every chunk that it takes."""

    def __init__(self, ledger: Ledger | None = None, halt: frozenset[int] = frozenset()) -> None:
        self.ledger = ledger or Ledger()
        self.halt = halt
        self.claims: list[frozenset[int]] = []
        self.revocations: list[frozenset[int]] = []
        self.chunks: list[Chunk] = []
        self.fenced = 0
        self.drained = 0
        self.held: frozenset[int] = frozenset()

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        self.claims.append(partitions)
        self.held |= partitions
        return {p: None if p in self.halt else self.ledger.heads.get(p, 0) for p in partitions}

    async def revoked(self, partitions: frozenset[int]) -> None:
        self.revocations.append(partitions)
        self.held -= partitions

    async def take(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)
        if not self.ledger.commit(chunk):
            self.fenced += 1

    async def drain(self) -> None:
        self.drained += 1

    def spans(self, partition: int) -> list[tuple[int, int]]:
        return [(chunk.start, chunk.end) for chunk in self.chunks if chunk.partition == partition]


@asynccontextmanager
async def running(
    kafka: str | KafkaConnection,
    topic: str,
    owner: Recorder,
    *,
    group: str | None = None,
    instance_id: str | None = None,
) -> AsyncIterator[ArchiveStream]:
    """A stream in this loop, stopped at the end; what stopped it before that is raised.

    `kafka`: how to reach it, or just where.
    """
    stream = ArchiveStream(
        KafkaConnection(kafka) if isinstance(kafka, str) else kafka,
        topic,
        group or f"group-of-{topic}",
        owner,
        replace(QUICK, instance_id=instance_id),
    )
    run = asyncio.create_task(stream.run())
    try:
        yield stream
    finally:
        if not run.done():
            await stream.stop()
        await run


async def until(true: Callable[[], object], what: str, within: float = 20.0) -> None:
    try:
        async with asyncio.timeout(within):
            while not true():  # noqa: ASYNC110  # what it waits for is state of others
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within} s: {what}") from None
