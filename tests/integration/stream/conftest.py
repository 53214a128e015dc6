"""What the stream's tests do to a broker: produce, with and without transactions, and ask about groups."""

import time
from collections.abc import Iterable

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]  # stubs miss it

from tests.stack.kafka import Kafka

WITHIN = 30.0  # seconds


class Log:
    """One topic, made for one test."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.kafka = kafka
        self.topic = topic
        self.bootstrap = kafka.bootstrap
        self.group = f"group-of-{topic}"
        self.admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def produce(self, values: Iterable[bytes], partition: int = 0, key: bytes | None = None) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "compression.type": "lz4", "linger.ms": 5})
        for value in values:
            producer.produce(self.topic, value, key=key, partition=partition)
        assert producer.flush(WITHIN) == 0

    def transactional(self, name: str) -> Producer:
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": f"{self.topic}-{name}"})
        producer.init_transactions(WITHIN)
        return producer

    def commit_group(self, offsets: dict[int, int]) -> None:
        """As if an older life of the group had committed these."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        consumer.commit(
            offsets=[TopicPartition(self.topic, p, offset) for p, offset in offsets.items()],
            asynchronous=False,
        )
        consumer.close()

    def group_offsets(self) -> dict[int, int]:
        asked = ConsumerGroupTopicPartitions(self.group)
        found = self.admin.list_consumer_group_offsets([asked])[self.group].result(WITHIN)
        return {tp.partition: tp.offset for tp in found.topic_partitions or [] if tp.offset >= 0}

    def members(self) -> int:
        described = self.admin.describe_consumer_groups([self.group])[self.group].result(WITHIN)
        return len(described.members)

    def grow(self, partitions: int) -> None:
        self.admin.create_partitions([NewPartitions(self.topic, partitions)])[self.topic].result(WITHIN)

    def cut_before(self, offset: int, partition: int = 0) -> None:
        tp = TopicPartition(self.topic, partition, offset)
        self.admin.delete_records([tp])[tp].result(WITHIN)

    def make_anew(self) -> None:
        """Deletes the topic and creates it with one partition."""
        self.admin.delete_topics([self.topic])[self.topic].result(WITHIN)
        while self.topic in self.admin.list_topics(timeout=WITHIN).topics:
            time.sleep(0.05)
        self.kafka.create_topic(self.topic)


@pytest.fixture
def log(kafka: Kafka, topic_name: str) -> Log:
    """A topic of four partitions."""
    kafka.create_topic(topic_name, partitions=4)
    return Log(kafka, topic_name)


@pytest.fixture
def narrow(kafka: Kafka, topic_name: str) -> Log:
    """A topic of one partition."""
    kafka.create_topic(topic_name, partitions=1)
    return Log(kafka, topic_name)
