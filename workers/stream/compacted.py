"""Follows a compacted topic without a group: every reader sees every change (docs/policy.md).

A copy has a version, and an age: the time since an answer to "where does the log end?" that our position had
reached. When it last polled says nothing: aiokafka's `getmany` also returns when no broker can be reached.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Set
from time import monotonic
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka import errors as kafka

from workers.errors import Fatal, Retryable
from workers.stream.connection import KafkaConnection, start
from workers.stream.log import Extent, Log
from workers.stream.unpack import AsRecords, unpack_by_batch

log = structlog.get_logger()

ENDS_INTERVAL = 1.0  # seconds between two questions where the log ends
FETCH_WAIT_MS = 500  # how long a broker holds a fetch that has nothing to bring; a new record ends it at once
POLL_MS = 200
POLL_RECORDS = 2000  # applied in one go; then others have the loop
RETRY_PAUSE = 0.5  # seconds
RELOAD_AFTER = (
    43_200.0  # seconds out of touch; half of the topics' delete.retention.ms: tombstones may be gone
)

Apply = Callable[[bytes | None, bytes | None], None]
Retain = Callable[[Set[bytes]], None]
Followed = Callable[[int], None]


class CompactedReader:
    """`apply(key, value)` is called for each record, in its partition's order, in the loop that started this.

    After a reload (the log was replaced, or we were out of touch for too long) `retain` is called with the
    keys that the topic holds: a key that is not among them was deleted. `followed` is called with the time
    (ms) of each record that was applied while the copy was whole, so not of those that it was loaded with.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        apply: Apply,
        *,
        retain: Retain | None = None,
        followed: Followed = lambda time: None,
        reload_after: float = RELOAD_AFTER,
    ) -> None:
        self._connection = connection
        self.topic = topic
        self._apply = apply
        self._retain = retain
        self._followed = followed
        self._reload_after = reload_after
        self._facts = Log(connection)
        self._consumer: Any = None
        self._topic_id = ""
        self._lost = False  # the log does not hold what we should read next
        self._next: dict[int, int] = {}  # partition → the offset after the last one applied
        self._asked: tuple[float, dict[int, int]] | None = None  # when, and where the log ended then
        self._fresh_at: float | None = None
        self._reloaded_at = -math.inf  # when the last reload began
        self._fresh = asyncio.Event()
        self.place = (-1, -1)  # partition and offset of the record that is being applied, or was last
        self._seen: set[bytes] | None = None  # while reloading: the keys found so far
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def version(self) -> list[int]:
        """The highest offset applied, by partition; -1 where nothing was."""
        return [self._next[partition] - 1 for partition in sorted(self._next)]

    @property
    def topic_id(self) -> str:
        """Of the log that the version is of."""
        return self._topic_id

    def age(self) -> float:
        """Seconds for which this copy may have missed something. Infinite until it was loaded."""
        return monotonic() - self._fresh_at if self._fresh_at is not None else float("inf")

    async def start(self) -> None:
        """Reads the topic to its end, then follows it. Raises Fatal if it is missing."""
        await self._facts.partitions(self.topic)  # which names a topic that is missing; `extent` waits for it
        extent = await self._facts.extent(self.topic)
        self._topic_id = extent.topic_id
        self._consumer = AIOKafkaConsumer(
            **self._connection.client_settings(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=FETCH_WAIT_MS,
            # an open transaction of anybody must not hide what others wrote after it
            isolation_level="read_uncommitted",
            metadata_max_age_ms=30_000,
        )
        await start(self._connection, self._consumer.start, self._consumer.stop)
        unpack_by_batch(self._consumer._fetcher, AsRecords)
        self._assign({partition: first for partition, (first, _) in extent.bounds.items()})
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._watch())]
        loaded = asyncio.create_task(self._fresh.wait())
        try:
            await asyncio.wait({loaded, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loaded.cancel()
        if not self._fresh.is_set():
            await self.stop()
            await self.failure()

    async def failure(self) -> None:
        """Waits until following has ended, and raises what ended it. A copy that ends only grows old."""
        if self._tasks:
            await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
        await self._facts.close()

    def _assign(self, starts: dict[int, int]) -> None:
        self._next = starts
        self._consumer.assign([self._tp(partition) for partition in starts])
        for partition, offset in starts.items():
            self._consumer.seek(self._tp(partition), offset)

    def _tp(self, partition: int) -> Any:
        return TopicPartition(self.topic, partition)

    async def _follow(self) -> None:
        while True:
            try:
                found = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            except kafka.OffsetOutOfRangeError:
                self._lost = True  # `_watch` reloads
                await asyncio.sleep(RETRY_PAUSE)
                continue
            except kafka.KafkaError as error:
                if not error.retriable:
                    raise Fatal(
                        f"topic {self.topic} can't be read: {error!r}",
                        remedy="Check this user's right to read it",
                    ) from error
                log.warning("policy_not_read", topic=self.topic, error=repr(error))
                await asyncio.sleep(RETRY_PAUSE)
                continue
            for tp, records in found.items():
                self._take(tp.partition, records)
            self._see_ends()

    def _take(self, partition: int, records: list[Any]) -> None:
        following = self._fresh.is_set() and self._seen is None
        for record in records:
            self.place = (partition, record.offset)
            self._apply(record.key, record.value)
            if following:
                self._followed(record.timestamp)
            if self._seen is not None and record.key is not None:
                (self._seen.discard if record.value is None else self._seen.add)(record.key)

    def _see_ends(self) -> None:
        """Our positions against the ends that we know of: the copy is as fresh as the question was."""
        assignment = self._consumer._subscription.subscription.assignment
        for partition in self._next:
            state = assignment.state_value(self._tp(partition))
            if state is not None and state.has_valid_position:
                self._next[partition] = state.position
        if self._asked is None:
            return
        asked_at, ends = self._asked
        if all(self._next.get(partition, -1) >= end for partition, end in ends.items()):
            self._asked = None
            self._fresh_at = asked_at
            if self._seen is not None:
                seen, self._seen = self._seen, None
                if self._retain is not None:
                    self._retain(seen)
            self._fresh.set()

    async def _watch(self) -> None:
        while True:
            asked_at, read = monotonic(), dict(self._next)
            try:
                extent = await self._facts.extent(self.topic)
            except Retryable as error:
                log.warning("policy_end_unknown", topic=self.topic, error=str(error))
            else:
                self._consider(asked_at, read, extent)
            await asyncio.sleep(ENDS_INTERVAL)

    def _consider(self, asked_at: float, read: Mapping[int, int], extent: Extent) -> None:
        """`read`: how far we were when we asked. By now we may be beyond the ends that were answered."""
        ends = {partition: end for partition, (_, end) in extent.bounds.items()}
        if extent.topic_id != self._topic_id:
            self._reload("the topic was made anew", extent)
        elif self._lost or any(end < read.get(partition, 0) for partition, end in ends.items()):
            self._reload("the log was cut or replaced", extent)
        elif self._fresh.is_set() and min(self.age(), monotonic() - self._reloaded_at) > self._reload_after:
            self._reload(f"out of touch for {self.age():.0f} s, deletions may have been missed", extent)
        elif ends.keys() != self._next.keys():
            self._asked = None
            self._assign(
                {
                    partition: self._next.get(partition, first)
                    for partition, (first, _) in extent.bounds.items()
                }
            )
        elif self._asked is None:
            self._asked = (asked_at, ends)
            self._see_ends()

    def _reload(self, why: str, extent: Extent) -> None:
        log.warning("policy_reloaded", topic=self.topic, why=why)
        self._topic_id = extent.topic_id
        self._reloaded_at = monotonic()  # only reading to the end makes the copy young again
        self._asked = None
        self._lost = False
        self._seen = set()
        self._assign({partition: first for partition, (first, _) in extent.bounds.items()})
