"""Facts of Kafka's logs, asked without a group: topic ids, bounds, one record at an exact offset."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from aiokafka import errors  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.protocol.fetch import FetchRequest  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.protocol.offset import OffsetRequest  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.record import MemoryRecords  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal, Retryable
from workers.stream import metadata
from workers.stream.connection import KafkaConnection, open_client
from workers.stream.metadata import ZERO_ID, ClusterMetadata, TopicMetadata
from workers.stream.refusals import reason

LATEST, EARLIEST = -1, -2  # timestamps of ListOffsets with a meaning of their own
CONSUMER = -1  # replica id of those who are none
READ_UNCOMMITTED = 0
RECORD_BYTES = 1 << 20  # a fetch brings at least one whole batch, however large
FETCH_WAIT_MS = 200  # the embedded broker answers nothing when it is not allowed to wait
RETRY_PAUSE = 0.2  # seconds between two attempts while a leader is being found

# -1 is a fault of the broker, whatever it was; and one that is behind does not know a new partition yet
PASSING = (errors.UnknownError, errors.UnknownTopicOrPartitionError)
UNANSWERED = (
    TimeoutError,
    errors.KafkaConnectionError,
    errors.NodeNotReadyError,
    errors.RequestTimedOutError,
)

T = TypeVar("T")


class Extent(NamedTuple):
    topic_id: str
    bounds: dict[int, tuple[int, int]]  # partition → (first offset, the one after the last)


class Log:
    """Opens its client with the first question. Any question raises Retryable if Kafka is out of reach."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def metadata(self, topics: Iterable[str]) -> ClusterMetadata:
        """The cluster's id; of each topic its id, partitions, replicas. A missing one has an error code."""
        names = sorted(topics)

        return await self._ask(lambda client: metadata.ask(client, names))

    async def metadata_everywhere(self, topics: Iterable[str]) -> list[ClusterMetadata]:
        """The same, as each broker knows it that answers: one may be behind another."""
        names = sorted(topics)
        return await self._ask(lambda client: metadata.ask_all(client, names))

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        """{topic: its UUID, base64url as Kafka prints it}. Raises Fatal if there is no topic, or no UUID."""
        found = await self._existing(topics)
        for topic, facts in found.items():
            if facts.topic_id == ZERO_ID:
                raise Fatal(
                    f"topic {topic} has no id",
                    remedy="A Kafka older than 2.8 made it. Upgrade the brokers: they will give it one",
                )
        return {topic: facts.topic_id for topic, facts in found.items()}

    async def cluster_id(self) -> str:
        found = (await self.metadata([])).cluster_id
        if not found:
            raise Fatal(
                f"Kafka at {self._connection.bootstrap} has no cluster id", remedy="Upgrade the brokers"
            )
        return found

    async def partitions(self, topic: str) -> frozenset[int]:
        """Raises Fatal for a missing topic."""
        return frozenset((await self._existing([topic]))[topic].partitions)

    async def bounds(self, topic: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """{partition: (first offset that the log holds, the one after its last)}, uncommitted ones too."""
        return (await self.extent(topic, frozenset(partitions))).bounds

    async def extent(self, topic: str, partitions: frozenset[int] | None = None) -> Extent:
        """The topic's id and the bounds of its `partitions`, None for all. Retryable if one is missing.

        The bounds are those of the topic with that id: one that is made anew meanwhile is asked again.
        """

        async def ask(client: Any) -> Extent:
            facts = _told(topic, await metadata.ask(client, [topic]))
            leaders = _leaders(topic, facts, partitions)
            starts = await _offsets(client, topic, leaders, EARLIEST)
            ends = await _offsets(client, topic, leaders, LATEST)
            for leader, led in _by_leader(leaders).items():
                ends |= await _watermarks(client, topic, leader, {p: ends[p] for p in led})
            after = _told(topic, await metadata.ask(client, [topic]))
            if after.topic_id != facts.topic_id:  # offsets are asked for by name: whose they are is not known
                raise errors.StaleMetadata(topic)
            return Extent(
                facts.topic_id, {partition: (starts[partition], ends[partition]) for partition in starts}
            )

        return await self._ask(ask)

    async def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        """The value at exactly `offset` (b"" for a null), None where no record is there."""
        where = [(topic, [(partition, offset, RECORD_BYTES)])]

        async def ask(client: Any) -> bytes | None:
            facts = _told(topic, await metadata.ask(client, [topic]))
            leader = _leaders(topic, facts, frozenset({partition}))[partition]
            request = FetchRequest(FETCH_WAIT_MS, 1, RECORD_BYTES, READ_UNCOMMITTED, where)
            response = await client.send(leader, request)
            if not response.topics:  # the embedded broker's way of saying that there is nothing
                return None
            _, code, _, *rest = response.topics[0][1][0]
            if errors.for_code(code) is errors.OffsetOutOfRangeError:
                return None
            _check(code, topic, partition)
            return _value_at(rest[-1], offset)

        return await self._ask(ask)

    async def _existing(self, topics: Iterable[str]) -> dict[str, TopicMetadata]:
        names = sorted(topics)

        async def ask(client: Any) -> dict[str, TopicMetadata]:
            found = await metadata.ask(client, names)
            return {name: _existing(name, found) for name in names}

        return await self._ask(ask)

    async def _ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """Asks until Kafka answers or the connection's request time-out is over."""
        last: Exception = TimeoutError("no answer")
        try:
            async with asyncio.timeout(self._connection.request_timeout):
                while True:
                    client = await self._opened()
                    try:
                        return await question(client)
                    except errors.KafkaError as error:
                        if not error.retriable and not isinstance(error, PASSING):
                            raise _refused(error) from error
                        last = error
                        client.force_metadata_update()  # of the brokers
                        await asyncio.sleep(RETRY_PAUSE)
                    except NotImplementedError:
                        raise Fatal(
                            f"Kafka at {self._connection.bootstrap} does not tell topic ids",
                            remedy="Use Apache Kafka 2.8 or newer: ids tell a re-created topic",
                        ) from None
        except TimeoutError:
            if isinstance(last, UNANSWERED):
                raise await reason(self._connection, last) from last
            raise Retryable(
                f"Kafka at {self._connection.bootstrap} could not tell: {last!r}",
                remedy="It may be electing leaders, or the topic is gone: strongroom topics check",
            ) from last

    async def _opened(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._client = await open_client(self._connection)
        return self._client


def _existing(topic: str, cluster: ClusterMetadata) -> TopicMetadata:
    """For the questions that a start asks: there an unknown topic is one that nobody made."""
    if errors.for_code(cluster.topics[topic].error_code) is errors.UnknownTopicOrPartitionError:
        raise Fatal(f"topic {topic} does not exist", remedy="Create it: strongroom topics create")
    return _told(topic, cluster)


def _told(topic: str, cluster: ClusterMetadata) -> TopicMetadata:
    facts = cluster.topics[topic]
    _check(facts.error_code, topic)
    return facts


def _leaders(topic: str, facts: TopicMetadata, partitions: frozenset[int] | None) -> dict[int, int]:
    """{partition: node id} of `partitions`, None for all.

    Not aiokafka's own view of the cluster: asking for that may create the topic.
    """
    wanted = facts.partitions.keys() if partitions is None else partitions
    if missing := wanted - facts.partitions.keys():
        raise errors.UnknownTopicOrPartitionError(f"{topic} {sorted(missing)}")
    leaders = {partition: facts.partitions[partition].leader for partition in wanted}
    if not facts.partitions or any(leader < 0 for leader in leaders.values()):
        raise errors.LeaderNotAvailableError(topic)
    return leaders


async def _offsets(client: Any, topic: str, leaders: dict[int, int], timestamp: int) -> dict[int, int]:
    found = {}
    for leader, led in _by_leader(leaders).items():
        asked = [(partition, timestamp) for partition in led]
        response = await client.send(leader, OffsetRequest(CONSUMER, READ_UNCOMMITTED, [(topic, asked)]))
        for partition, code, _, offset in response.topics[0][1]:
            _check(code, topic, partition)
            found[partition] = offset
    return found


async def _watermarks(client: Any, topic: str, leader: int, ends: dict[int, int]) -> dict[int, int]:
    """The high watermarks that a fetch from `ends` tells.

    On Kafka they are those of ListOffsets or newer. The embedded broker's ListOffsets forgets all but the
    first record of the newest batch, which would make every log look cut.
    """
    asked = [(partition, end, 1) for partition, end in ends.items()]
    response = await client.send(leader, FetchRequest(1, 1, 1, READ_UNCOMMITTED, [(topic, asked)]))
    found = {}
    for partition, code, watermark, *_ in response.topics[0][1] if response.topics else ():
        if errors.for_code(code) is not errors.OffsetOutOfRangeError:  # cut since it was asked
            _check(code, topic, partition)
            found[partition] = max(watermark, ends[partition])
    return found


def _by_leader(leaders: dict[int, int]) -> dict[int, list[int]]:
    led: dict[int, list[int]] = {}
    for partition, leader in leaders.items():
        led.setdefault(leader, []).append(partition)
    return led


def _check(code: int, *about: object) -> None:
    kind = errors.for_code(code)
    if kind is not errors.NoError:
        raise kind(*about)


def _refused(error: errors.KafkaError) -> Fatal:
    return Fatal(
        f"Kafka refused to tell: {error!r}",
        remedy="Check this user's rights: Describe and Read",
    )


def _value_at(data: bytes, offset: int) -> bytes | None:
    batches = MemoryRecords(data)
    while batches.has_next():
        batch = batches.next_batch()
        if batch.is_control_batch:
            continue
        for record in batch:
            if record.offset == offset:
                return bytes(record.value or b"")
            if record.offset > offset:
                return None
    return None
