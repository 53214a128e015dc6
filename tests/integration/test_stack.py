"""The test stack keeps its word: it hands out a real broker and a real S3 that survive a crash."""

import threading
import time

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from tests.stack import ladder
from tests.stack.fault_proxy import FaultProxy
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3


def produce(kafka: Kafka, topic: str, values: range) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True})
    for value in values:
        producer.produce(topic, str(value).encode(), key=str(value).encode())
    assert producer.flush(60) == 0


def consumed(kafka: Kafka, topic: str, count: int) -> set[int]:
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    try:
        messages = consumer.consume(count, timeout=60)
        return {int(m.value() or b"-1") for m in messages if m.error() is None}
    finally:
        consumer.close()


def test_what_is_produced_is_consumed_from_every_partition(kafka: Kafka, topic_name: str) -> None:
    kafka.create_topic(topic_name, partitions=3)
    produce(kafka, topic_name, range(500))
    assert consumed(kafka, topic_name, 500) == set(range(500))


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_broker_that_ended_comes_back_on_its_port_with_its_records(
    kafka: Kafka, topic_name: str, end: str
) -> None:
    kafka.create_topic(topic_name)
    produce(kafka, topic_name, range(100))
    getattr(kafka, end)()
    kafka.start()
    produce(kafka, topic_name, range(100, 200))
    assert consumed(kafka, topic_name, 200) == set(range(200))


def test_a_topic_that_nobody_created_is_not_created_by_asking(kafka: Kafka, topic_name: str) -> None:
    failed: list[str] = []
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.timeout.ms": 3000})
    producer.produce(topic_name, b"x", on_delivery=lambda error, _: failed.append(str(error)))
    producer.flush(30)
    assert failed != []
    assert "None" not in failed


def test_one_of_many_conditional_puts_wins(s3: S3) -> None:
    bucket = s3.bucket()
    outcomes: list[int] = []

    def put(body: bytes) -> None:
        try:
            answer = s3.client.put_object(Bucket=bucket, Key="a/head", Body=body, IfNoneMatch="*")
            outcomes.append(answer["ResponseMetadata"]["HTTPStatusCode"])
        except s3.client.exceptions.ClientError as refused:
            outcomes.append(refused.response["ResponseMetadata"]["HTTPStatusCode"])

    threads = [threading.Thread(target=put, args=(b"%d" % n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(200) == 1
    assert set(outcomes) <= {200, 409, 412}


def test_metadata_and_etag_conditions_are_kept(s3: S3) -> None:
    bucket = s3.bucket()
    first = s3.client.put_object(Bucket=bucket, Key="x", Body=b"one", Metadata={"x-amz-i": "abc"})["ETag"]
    assert s3.client.head_object(Bucket=bucket, Key="x")["Metadata"] == {"x-amz-i": "abc"}
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"two", IfMatch=first)
    with pytest.raises(s3.client.exceptions.ClientError, match="PreconditionFailed"):
        s3.client.put_object(Bucket=bucket, Key="x", Body=b"three", IfMatch=first)


def test_a_versioned_bucket_keeps_what_was_written_over_and_deleted(s3: S3) -> None:
    bucket = s3.versioned_bucket()
    old = s3.client.put_object(Bucket=bucket, Key="x", Body=b"old")["VersionId"]
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"new")
    s3.client.delete_object(Bucket=bucket, Key="x")
    assert s3.client.get_object(Bucket=bucket, Key="x", VersionId=old)["Body"].read() == b"old"
    listed = s3.client.list_object_versions(Bucket=bucket)
    assert (len(listed["Versions"]), len(listed["DeleteMarkers"])) == (2, 1)


def test_acknowledged_objects_outlive_a_killed_server(s3: S3) -> None:
    bucket = s3.bucket()
    s3.client.put_object(Bucket=bucket, Key="x", Body=b"kept")
    s3.kill()
    s3.start()
    if ladder.s3().name == "moto":  # it holds objects in memory: then all that can be asked is that it is up
        assert s3.bucket()
    else:
        assert s3.client.get_object(Bucket=bucket, Key="x")["Body"].read() == b"kept"


def reaches(bootstrap: str, timeout: float) -> bool:
    try:
        # each asks anew: a client that is kept would hide a cut behind its own reconnects
        return bool(
            AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=timeout).brokers
        )
    except KafkaException:
        return False


def test_the_proxy_carries_cuts_stalls_and_heals(
    kafka: Kafka, kafka_proxy: FaultProxy, topic_name: str
) -> None:
    kafka.create_topic(topic_name)
    through = Consumer(
        {
            "bootstrap.servers": kafka_proxy.address,
            "group.id": topic_name,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    through.subscribe([topic_name])
    produce(kafka, topic_name, range(10))
    assert len(through.consume(10, timeout=60)) == 10
    for fault in (kafka_proxy.cut, kafka_proxy.stall):
        fault()
        assert not reaches(kafka_proxy.address, 1)
        produce(kafka, topic_name, range(10))
        assert through.consume(10, timeout=1) == []
        kafka_proxy.heal()
        assert reaches(kafka_proxy.address, 30)
        assert len([m for m in through.consume(10, timeout=60) if m.error() is None]) == 10
    through.close()
    kafka_proxy.slow(0.2)
    began = time.monotonic()
    assert reaches(kafka_proxy.address, 30)
    assert time.monotonic() - began > 0.4  # a question and its answer, at least
