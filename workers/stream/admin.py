"""Creates the topics, and compares the cluster's with what they must be. Nothing is ever changed."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka import errors  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.admin.config_resource import (  # type: ignore[import-untyped]  # aiokafka ships no types
    ConfigResource,
    ConfigResourceType,
)

from workers.errors import Fatal, Retryable
from workers.stream.connection import KafkaConnection, start
from workers.stream.log import Log
from workers.stream.metadata import ClusterMetadata

KNOWN_WITHIN = 30.0  # seconds for all brokers to hear of a new topic and its leaders
KNOWN_PAUSE = 0.1  # seconds between two looks


class Spec(Protocol):
    """What is asked of a topic (topics.registry.TopicSpec)."""

    @property
    def name(self) -> str: ...

    @property
    def partitions(self) -> int: ...

    @property
    def replication(self) -> int: ...

    @property
    def configs(self) -> Mapping[str, str]:
        """Kafka's topic configuration, property → value."""


class Mismatch(NamedTuple):
    """`property` of `topic` is `found` ("not told" where the broker does not say), and must be `wanted`."""

    topic: str
    property: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.property} is {self.found}, must be {self.wanted}"


async def create_topics(connection: KafkaConnection, specs: Sequence[Spec]) -> list[str]:
    """Creates those that are missing and returns their names. Existing ones stay as they are.

    Returns once every broker leads clients to them: the controller answers before the brokers have heard.
    """
    log = Log(connection)
    try:
        known = (await log.metadata(spec.name for spec in specs)).topics
        missing = [spec for spec in specs if _is_missing(known[spec.name].error_code)]
        created = await _create(connection, missing)
        await until_known(log, {spec.name: spec.partitions for spec in missing})
    finally:
        await log.close()
    return created


async def until_known(log: Log, wanted: Mapping[str, int], within: float = KNOWN_WITHIN) -> None:
    """Until each broker knows a leader for so many partitions of each topic. Raises Retryable otherwise."""
    unknown = dict.fromkeys(wanted, "no broker has answered")
    try:
        async with asyncio.timeout(within):
            while unknown:
                unknown = _unknown(await log.metadata_everywhere(wanted), wanted)
                if unknown:
                    await asyncio.sleep(KNOWN_PAUSE)
    except TimeoutError:
        what = "; ".join(f"{topic}: {why}" for topic, why in sorted(unknown.items()))
        raise Retryable(
            f"topics are created, but not ready after {within:g} s: {what}",
            remedy="Brokers may be down or busy. Wait until strongroom topics check finds nothing",
        ) from None


def _unknown(told: Iterable[ClusterMetadata], wanted: Mapping[str, int]) -> dict[str, str]:
    """{topic: what a broker does not know of it}."""
    found = {}
    for cluster in told:
        for topic, partitions in wanted.items():
            facts = cluster.topics[topic]
            led = sum(each.leader >= 0 for each in facts.partitions.values())
            if facts.error_code:
                found[topic] = errors.for_code(facts.error_code).__name__
            elif led < partitions:
                found[topic] = f"{led} of {partitions} partitions have a leader"
    return found


async def _create(connection: KafkaConnection, missing: Sequence[Spec]) -> list[str]:
    if not missing:
        return []
    admin = await _open(connection)
    try:
        response = await admin.create_topics(
            [
                NewTopic(spec.name, spec.partitions, spec.replication, topic_configs=dict(spec.configs))
                for spec in missing
            ]
        )
    except (errors.KafkaError, TimeoutError) as error:
        raise Retryable(f"topics could not be created: {error!r}", remedy="Try again") from error
    finally:
        await admin.close()
    created = []
    for name, code, *message in response.topic_errors:
        kind = errors.for_code(code)
        if kind is errors.NoError:
            created.append(name)
        elif kind is not errors.TopicAlreadyExistsError:  # somebody was faster
            raise Fatal(
                f"topic {name} could not be created: {message[0] if message else kind.__name__}",
                remedy="Check STRONGROOM_TOPIC_REPLICATION against the brokers there are, and your rights",
            )
    return created


async def check_topics(connection: KafkaConnection, specs: Sequence[Spec]) -> list[Mismatch]:
    """Everything in which the cluster's topics differ from `specs`. More partitions are no difference."""
    log = Log(connection)
    try:
        known = (await log.metadata(spec.name for spec in specs)).topics
    finally:
        await log.close()
    existing = [spec for spec in specs if not _is_missing(known[spec.name].error_code)]
    configs = await _configs(connection, [spec.name for spec in existing])
    missing = [spec for spec in specs if spec not in existing]
    found = [Mismatch(spec.name, "topic", "there", "missing") for spec in missing]
    for spec in existing:
        partitions = known[spec.name].partitions
        if len(partitions) < spec.partitions:
            found.append(Mismatch(spec.name, "partitions", str(spec.partitions), str(len(partitions))))
        replicas = min((facts.replicas for facts in partitions.values()), default=0)
        if replicas < spec.replication:
            found.append(Mismatch(spec.name, "replication", str(spec.replication), str(replicas)))
        found += _compare(spec, configs.get(spec.name, {}))
    return found


def _compare(spec: Spec, configs: Mapping[str, str]) -> Iterable[Mismatch]:
    for name, wanted in spec.configs.items():
        told = configs.get(name)
        if told is None or _parts(told) != _parts(wanted):
            yield Mismatch(spec.name, name, wanted, "not told" if told is None else told)


def _parts(value: str) -> frozenset[str]:
    """A list of Kafka's, in any order: `compact,delete`."""
    return frozenset(part.strip() for part in value.split(","))


def _is_missing(code: int) -> bool:
    kind = errors.for_code(code)
    if kind not in (errors.NoError, errors.UnknownTopicOrPartitionError):
        raise Fatal(
            f"Kafka refused to describe the topics: {kind.__name__}", remedy="Check this user's rights"
        )
    return kind is not errors.NoError


async def _configs(connection: KafkaConnection, topics: Sequence[str]) -> dict[str, dict[str, str]]:
    if not topics:
        return {}
    admin = await _open(connection)
    try:
        responses = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        )
    except (errors.KafkaError, TimeoutError) as error:
        raise Retryable(f"topics could not be described: {error!r}", remedy="Try again") from error
    finally:
        await admin.close()
    found = {}
    for response in responses:
        for code, message, _, name, entries in response.resources:
            if code:
                raise Fatal(
                    f"Kafka refused to describe topic {name}: {message or errors.for_code(code).__name__}",
                    remedy="Check this user's right to describe configurations",
                )
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _open(connection: KafkaConnection) -> Any:
    admin = AIOKafkaAdminClient(**connection.client_settings())
    await start(connection, admin.start, admin.close)
    return admin
