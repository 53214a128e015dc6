"""What the log has lost halts its partition alone; an operator puts it on record, and the worker goes on."""

import json
import time
from collections import Counter

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.reader import Reader
from tests.system.traffic import envelope

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"
WITHIN = 60.0  # seconds


def set_up(fleet: Fleet) -> str:
    fleet.settings |= {"STRONGROOM_ACTOR": "ann"}
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    return f"{fleet.prefix}raw-events"


def send(fleet: Fleet, topic: str, partition: int, first: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": fleet.bootstrap})
    for n in range(first, first + count):
        producer.produce(topic, envelope(KEY, f"m{partition}.{n}"), partition=partition)
    assert producer.flush(WITHIN) == 0


def archived(reader: Reader) -> Counter[str]:
    return Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines())


def messages(partition: int, *spans: tuple[int, int]) -> Counter[str]:
    return Counter(f"m{partition}.{n}" for first, end in spans for n in range(first, end))


def wait_halted(worker: Worker, cause: str, partitions: int) -> None:
    wait_until(
        lambda: f'strongroom_halts_total{{cause="{cause}"}} {partitions}.0' in worker.get("/metrics")[1],
        WITHIN,
        worker.log,
    )


def wait_archived(reader: Reader, expected: Counter[str], worker: Worker) -> None:
    wait_until(
        lambda: archived(reader) == expected,
        WITHIN,
        lambda: f"{(expected - archived(reader)).total()} missing\n{worker.log()}",
    )


def audited(fleet: Fleet) -> list[dict[str, object]]:
    """What the audit topic has of losses."""
    topic = f"{fleet.prefix}audit"
    consumer = Consumer(
        {
            "bootstrap.servers": fleet.bootstrap,
            "group.id": f"{fleet.prefix}auditor",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    partitions = consumer.list_topics(topic, WITHIN).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: list[dict[str, object]] = []
    ended: set[int | None] = set()
    while len(ended) < len(partitions):
        message = consumer.poll(WITHIN)
        assert message is not None, "Kafka does not answer"
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ended.add(message.partition())
        else:
            found.append(json.loads(message.value() or b""))
    consumer.close()
    return [record for record in found if record["action"] == "ledger.acknowledged"]


def test_records_deleted_under_a_running_worker(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    worker = fleet.worker().wait_ready()
    for partition in (0, 1):
        send(fleet, topic, partition, 0, 100)
    wait_archived(reader, messages(0, (0, 100)) + messages(1, (0, 100)), worker)
    worker.suspend()
    send(fleet, topic, 0, 100, 1)  # answers the fetch that waits at the broker
    time.sleep(1)
    send(fleet, topic, 0, 101, 79)
    cut = TopicPartition(topic, 0, 150)
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    admin.delete_records([cut])[cut].result(WITHIN)
    worker.resume()
    wait_halted(worker, "log_start_above_head", 1)
    place = ("--topic", topic, "--partition", "0")
    why = ("--reason", "retention was too short")
    shown = fleet.json("ledger", "acknowledge", *place, *why, code=1)
    lost = shown["offsets lost"]
    assert shown["cause"] == "log_start_above_head"
    assert lost in (49, 50)  # the worker had the first one in memory, and may have committed it
    kept = (0, 150 - lost)
    assert f"{lost} offsets were deleted before they could be archived" in worker.log()
    send(fleet, topic, 1, 100, 50)  # the other partition does not care
    wait_archived(reader, messages(0, kept) + messages(1, (0, 150)), worker)
    assert {chain["state"] for chain in fleet.json("ledger", "status")} == {"open"}
    refused = fleet.run("ledger", "acknowledge", *place, *why, "--cause", "anchor_differs", "--yes", code=1)
    assert b"is halted by log_start_above_head, not by anchor_differs" in refused.stderr

    recorded = fleet.json("ledger", "acknowledge", *place, *why, "--yes")
    assert recorded["offsets lost"] == lost
    assert recorded["closing"].endswith(f"/00000/{150 - lost:020d}.json")
    # the worker goes on by itself
    wait_archived(reader, messages(0, kept, (150, 180)) + messages(1, (0, 150)), worker)
    standing = {(chain["partition"], chain["incarnation"]): chain for chain in fleet.json("ledger", "status")}
    assert [standing[0, 1][name] for name in ("state", "lost", "by")] == ["closed", lost, "ann"]
    assert [standing[0, 2][name] for name in ("state", "next")] == ["open", 180]

    assert fleet.json("ledger", "acknowledge", *place, *why, "--yes") == recorded
    records = audited(fleet)
    assert len({record["id"] for record in records}) == 1
    assert (records[0]["who"], records[0]["why"], records[0]["subject"]) == ("ann", why[1], f"{topic}[0]")
    lines = fleet.run("read", "--workspace", "acme").stdout.splitlines()
    assert Counter(json.loads(line)["event"]["messageId"] for line in lines) == archived(reader)
    assert worker.stop() == 0


def test_a_topic_made_anew_under_its_name(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    worker = fleet.worker().wait_ready()
    for partition in (0, 1):
        send(fleet, topic, partition, 0, 100)
    wait_archived(reader, messages(0, (0, 100)) + messages(1, (0, 100)), worker)
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    admin.delete_topics([topic])[topic].result(WITHIN)
    wait_until(lambda: topic not in admin.list_topics(timeout=WITHIN).topics, WITHIN, worker.log)
    fleet.run("topics", "create")
    # by the watch of the topic's id, or by a claim: the coordinator moves its partitions too
    assert worker.process.wait(WITHIN) in (1, 3), worker.log()
    assert "made anew: its id is" in worker.log()
    fleet.workers.remove(worker)

    for partition in (0, 1):
        send(fleet, topic, partition, 200, 50)
    worker = fleet.worker()
    wait_halted(worker, "topic_recreated", fleet.partitions)
    recorded = fleet.json(
        "ledger", "acknowledge", "--topic", topic, "--partition", "0", "--reason", "a mistake", "--yes"
    )
    assert (recorded["cause"], recorded["offsets lost"]) == ("topic_recreated", "nobody can know")
    expected = messages(0, (0, 100), (200, 250)) + messages(1, (0, 100))
    wait_archived(reader, expected, worker)
    assert worker.metric('strongroom_partitions{state="halted"}') == fleet.partitions - 1
    standing = [(chain["partition"], chain["state"]) for chain in fleet.json("ledger", "status")]
    assert sorted(standing)[:3] == [(0, "closed"), (0, "open"), (1, "open")]
    fleet.run("ledger", "acknowledge", "--topic", topic, "--partition", "1", "--reason", "a mistake", "--yes")
    wait_archived(reader, expected + messages(1, (200, 250)), worker)
    assert worker.stop() == 0
    fleet.run("verify")
