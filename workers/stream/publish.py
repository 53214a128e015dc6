"""Writes to topics: batched, acknowledged by all in-sync replicas, once where the broker can tell."""

import asyncio
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer, errors  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal, Poison, Retryable, StrongroomError
from workers.stream import metadata
from workers.stream.connection import KafkaConnection, open_client, start
from workers.stream.refusals import reason

log = structlog.get_logger()

# the embedded broker answers -1 when asked for a producer id
REFUSES_IDEMPOTENCE = (errors.UnknownError, errors.IncompatibleBrokerVersion, NotImplementedError)
UNREACHABLE = (errors.KafkaConnectionError, errors.KafkaTimeoutError, errors.RequestTimedOutError)
LINGER_MS = 5  # what a batch may wait for company
BATCH_BYTES = 1 << 17


class Sent(NamedTuple):
    """Where a record was written."""

    partition: int
    offset: int


class Publisher:
    """Start it, send, flush, stop. What fails is raised by `send_and_wait`, or by the next `flush`."""

    def __init__(self, connection: KafkaConnection, *, compression: str | None = "lz4") -> None:
        self._connection = connection
        self._compression = compression
        self._producer: Any = None
        self._pending: set[asyncio.Future[Any]] = set()
        self._failed: BaseException | None = None
        self._known: set[str] = set()  # topics that exist

    async def start(self) -> None:
        """Raises as `open_client` does, which looks where the cluster is before a producer calls it."""
        await (await open_client(self._connection)).close()
        producer = self._new(idempotent=True)
        try:
            await producer.start()
        except REFUSES_IDEMPOTENCE as error:
            log.warning(
                "publishing_without_idempotence", bootstrap=self._connection.bootstrap, error=repr(error)
            )
            await producer.stop()
            producer = self._new(idempotent=False)
            await start(self._connection, producer.start, producer.stop)
        except (errors.KafkaError, OSError, TimeoutError) as error:
            await producer.stop()
            raise await reason(self._connection, error) from error
        self._producer = producer

    def _new(self, *, idempotent: bool) -> Any:
        return AIOKafkaProducer(
            **self._connection.client_settings(),
            acks="all",
            enable_idempotence=idempotent,
            compression_type=self._compression,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
        )

    async def send(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        """Returns when the record is in a batch; waits where too many are under way."""
        future = await self._enqueue(topic, key, value)
        self._pending.add(future)
        future.add_done_callback(self._settled)

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> Sent:
        """Returns when all in-sync replicas have it. Raises Retryable, Poison (too large) or Fatal."""
        try:
            metadata = await (await self._enqueue(topic, key, value))
        except errors.KafkaError as error:
            raise await self._why(error) from error
        return Sent(metadata.partition, metadata.offset)

    async def flush(self) -> None:
        """Returns when everything sent is acknowledged. Raises the first failure since the last flush."""
        while self._pending:
            await asyncio.wait(set(self._pending))
        failed, self._failed = self._failed, None
        if failed is not None:
            raise await self._why(failed) from failed

    async def stop(self) -> None:
        """Sends what is batched, and closes."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _enqueue(self, topic: str, key: bytes | None, value: bytes | None) -> asyncio.Future[Any]:
        if self._producer is None:
            raise Fatal("the publisher is not started", remedy="Await start() first")
        try:
            if topic not in self._known:
                await self._check(topic)
            future: asyncio.Future[Any] = await self._producer.send(topic, value=value, key=key)
        except errors.KafkaError as error:
            raise await self._why(error) from error
        return future

    async def _check(self, topic: str) -> None:
        """A missing topic is an error at once: aiokafka would go on asking, and may create it by that."""
        found = (await metadata.ask(self._producer.client, [topic])).topics[topic]
        if errors.for_code(found.error_code) is errors.UnknownTopicOrPartitionError:
            raise Fatal(f"topic {topic} does not exist", remedy="Create it: strongroom topics create")
        self._known.add(topic)

    def _settled(self, future: asyncio.Future[Any]) -> None:
        self._pending.discard(future)
        if not future.cancelled() and (error := future.exception()) and self._failed is None:
            self._failed = error

    async def _why(self, error: BaseException) -> StrongroomError:
        if isinstance(error, errors.MessageSizeTooLargeError):
            return Poison(
                f"a record is too large for its topic: {error}", remedy="Split it, or raise the limit"
            )
        if isinstance(error, UNREACHABLE):
            return await reason(self._connection, error)
        if getattr(error, "retriable", False):
            return Retryable(f"Kafka did not take a record: {error!r}", remedy="Try again")
        return Fatal(f"Kafka refused a record: {error!r}", remedy="Check this user's right to write")
