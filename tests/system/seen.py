"""All that a fleet leaves where somebody may look: logs, metrics, topics, the bucket, what commands print."""

import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from tests.system.fleet import Fleet, Worker

Seen = dict[str, list[tuple[str, bytes]]]  # place → where exactly, and what is written there
PATHS = ("/metrics", "/livez", "/readyz")


def pages(worker: Worker) -> list[tuple[str, bytes]]:
    return [(f"{worker.name}{path}", worker.get(path)[1].encode()) for path in PATHS]


def logs(fleet: Fleet) -> list[tuple[str, bytes]]:
    return [(worker.log_file.name, worker.log_file.read_bytes()) for worker in fleet.workers]


def printed(done: "subprocess.CompletedProcess[bytes]", *, results: bool = True) -> tuple[str, bytes]:
    """What a command said; without `results`, on stderr alone."""
    name = " ".join(str(part) for part in done.args[1:])
    return name, (done.stdout if results else b"") + done.stderr


def topics(bootstrap: str, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every record of every topic of the fleet but raw-events, and of Kafka's own of committed offsets."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": f"scan-{uuid.uuid4().hex}", "enable.auto.commit": False}
    )
    try:
        known = consumer.list_topics(timeout=30).topics
        mine = [name for name in known if name.startswith(prefix) and name != f"{prefix}raw-events"]
        places = [
            TopicPartition(name, number)
            for name in (*mine, "__consumer_offsets")
            for number in known[name].partitions
        ]
        ends = {}
        for place in places:
            place.offset, end = consumer.get_watermark_offsets(place, timeout=30)
            if place.offset < end:
                ends[place.topic, place.partition] = end
        consumer.assign([place for place in places if (place.topic, place.partition) in ends])
        yield from _records(consumer, ends)
    finally:
        consumer.close()


def _records(consumer: Consumer, ends: dict[tuple[str, int], int]) -> Iterator[tuple[str, bytes]]:
    """Until every partition's position is at its end, which markers may hold."""
    while ends:
        message = consumer.poll(1)
        if message is not None:
            assert message.error() is None, message.error()
            headers = b"".join(str(header).encode() for header in message.headers() or ())
            where = f"{message.topic()}/{message.partition()}"
            yield where, b"\n".join((message.key() or b"", message.value() or b"", headers))
        for place in consumer.position([TopicPartition(*key) for key in ends]):
            if place.offset >= ends[place.topic, place.partition]:
                del ends[place.topic, place.partition]


def bucket(client: Any, name: str) -> Seen:
    """Names, metadata and bodies of all objects."""
    found: Seen = {"object name": [], "object metadata": [], "object body": []}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for entry in page.get("Contents", []):
            key = entry["Key"]
            got = client.get_object(Bucket=name, Key=key)
            headers = {**got["Metadata"], **got["ResponseMetadata"]["HTTPHeaders"]}
            tags = client.get_object_tagging(Bucket=name, Key=key)["TagSet"]
            found["object name"].append((key, key.encode()))
            found["object metadata"].append((key, str((headers, tags)).encode()))
            found["object body"].append((key, got["Body"].read()))
    return found
