"""Topics are created as declared, and every property that differs is named."""

from dataclasses import replace

import pytest

from tests.integration.stream.conftest import Log
from tests.stack.kafka import Kafka
from topics import registry
from workers.errors import Fatal, Poison
from workers.stream.admin import Mismatch, check_topics, create_topics
from workers.stream.connection import KafkaConnection
from workers.stream.log import Log as Facts
from workers.stream.publish import Publisher


async def test_what_create_creates_check_accepts(kafka: Kafka, topic_name: str) -> None:
    connection = KafkaConnection(kafka.bootstrap)
    specs = registry.topics(prefix=f"{topic_name[-8:]}.", replication=1)
    assert {mismatch.found for mismatch in await check_topics(connection, specs)} == {"missing"}
    assert await create_topics(connection, specs) == [spec.name for spec in specs]
    assert await create_topics(connection, specs) == []
    assert await check_topics(connection, specs) == []


async def test_each_property_that_differs_is_named(kafka: Kafka, topic_name: str) -> None:
    connection = KafkaConnection(kafka.bootstrap)
    spec = replace(registry.TOPICS[0], name=topic_name, replication=1)
    kafka.create_topic(
        topic_name, 2, {"cleanup.policy": "compact,delete", "retention.ms": "5", "min.insync.replicas": "1"}
    )
    wanted = replace(spec, replication=2, partitions=3)
    found = {(m.property, m.wanted, m.found) for m in await check_topics(connection, [wanted])}
    assert found == {
        ("partitions", "3", "2"),
        ("replication", "2", "1"),
        ("cleanup.policy", "delete", "compact,delete"),
        ("retention.ms", wanted.configs["retention.ms"], "5"),
        ("message.timestamp.type", "LogAppendTime", "CreateTime"),
        ("max.message.bytes", wanted.configs["max.message.bytes"], "1048588"),
    }
    assert str(Mismatch(topic_name, "partitions", "3", "2")) == f"{topic_name}: partitions is 2, must be 3"


async def test_more_replicas_than_brokers_is_refused_in_words(kafka: Kafka, topic_name: str) -> None:
    spec = replace(registry.TOPICS[0], name=topic_name, replication=5)
    with pytest.raises(Fatal, match=topic_name) as raised:
        await create_topics(KafkaConnection(kafka.bootstrap), [spec])
    assert "STRONGROOM_TOPIC_REPLICATION" in raised.value.remedy


async def test_a_topic_made_anew_has_another_id(log: Log) -> None:
    facts = Facts(KafkaConnection(log.bootstrap))
    try:
        [first] = (await facts.topic_ids([log.topic])).values()
        assert len(first) == len(await facts.cluster_id()) == 22
        assert await facts.partitions(log.topic) == {0, 1, 2, 3}
        log.make_anew()
        assert (await facts.topic_ids([log.topic]))[log.topic] != first
        with pytest.raises(Fatal, match="no-such-topic"):
            await facts.topic_ids([log.topic, "no-such-topic"])
    finally:
        await facts.close()


async def test_what_can_not_be_published_is_said(kafka: Kafka, topic_name: str) -> None:
    kafka.create_topic(topic_name, config={"max.message.bytes": "2000"})
    publisher = Publisher(KafkaConnection(kafka.bootstrap), compression=None)
    await publisher.start()
    try:
        with pytest.raises(Fatal, match="no-such-topic"):
            await publisher.send_and_wait("no-such-topic", None, b"x")
        with pytest.raises(Poison, match="too large"):
            await publisher.send_and_wait(topic_name, None, b"x" * 5000)
        await publisher.send(topic_name, None, b"x" * 5000)
        with pytest.raises(Poison, match="too large"):
            await publisher.flush()
        assert (await publisher.send_and_wait(topic_name, b"k", b"x")).partition == 0
    finally:
        await publisher.stop()
