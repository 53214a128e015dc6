"""What a command asks of Kafka beside the workers: it is in no group, and moves nobody's offsets."""

import asyncio
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition, errors  # type: ignore[import-untyped]  # no types
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal, Retryable, StrongroomError
from workers.stream.connection import KafkaConnection, start
from workers.stream.refusals import reason

COORDINATOR_MOVES = (
    errors.GroupCoordinatorNotAvailableError,
    errors.GroupLoadInProgressError,
    errors.NotCoordinatorForGroupError,
)
RETRY_PAUSE = 0.2  # seconds
POLL_MS = 200
IDLE_POLLS = 50  # in a row without any progress, until we give up


class Beside:
    """Questions about the partitions of one topic. Each opens a client of its own, and closes it."""

    def __init__(self, connection: KafkaConnection, group: str, topic: str) -> None:
        self._connection = connection
        self._group = group
        self._topic = topic

    async def group_offset(self, partition: int) -> tuple[int, str] | None:
        """The group's offset with its metadata; None where it has none."""
        admin = AIOKafkaAdminClient(**self._connection.client_settings())
        await start(self._connection, admin.start, admin.close)
        tp = TopicPartition(self._topic, partition)
        try:
            found = (await self._offsets(admin, tp)).get(tp)
        except (errors.KafkaError, TimeoutError) as error:
            raise await _why(self._connection, error) from error
        finally:
            await admin.close()
        return None if found is None or found.offset < 0 else (found.offset, found.metadata)

    async def _offsets(self, admin: Any, tp: Any) -> dict[Any, Any]:
        """Asks until the group's coordinator is found, which on a young cluster takes a while."""
        async with asyncio.timeout(self._connection.request_timeout):
            while True:
                try:
                    found: dict[Any, Any] = await admin.list_consumer_group_offsets(
                        self._group, partitions=[tp]
                    )
                    return found
                except COORDINATOR_MOVES:
                    await asyncio.sleep(RETRY_PAUSE)

    async def first_record(self, partition: int, first: int, end: int) -> int | None:
        """The offset of the first committed record in [first, end); None where all of them are gaps.

        Raises Retryable where Kafka does not bring the range, as while a transaction in it is open.
        """
        if first >= end:
            return None
        consumer = AIOKafkaConsumer(
            **self._connection.client_settings(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )
        await start(self._connection, consumer.start, consumer.stop)
        try:
            return await _first_record(consumer, TopicPartition(self._topic, partition), first, end)
        except (errors.KafkaError, TimeoutError) as error:
            raise await _why(self._connection, error) from error
        finally:
            await consumer.stop()


async def _first_record(consumer: Any, tp: Any, first: int, end: int) -> int | None:
    consumer.assign([tp])
    consumer.seek(tp, first)
    at, idle = first, 0
    while at < end:
        found = (await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=1)).get(tp)
        if found:
            return int(found[0].offset) if found[0].offset < end else None
        before, at = at, await consumer.position(tp)
        idle = idle + 1 if at == before else 0
        if idle > IDLE_POLLS:
            raise Retryable(
                f"{tp.topic}[{tp.partition}] can't be read from {at} to {end}",
                remedy="Is a transaction open there, or the log shorter by now? Try again",
            )
    return None


async def _why(connection: KafkaConnection, error: BaseException) -> StrongroomError:
    if isinstance(error, TimeoutError) or getattr(error, "retriable", False):
        return await reason(connection, error)
    return Fatal(f"Kafka refused to tell: {error!r}", remedy="Check this user's rights: Describe and Read")
