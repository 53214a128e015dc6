"""What lies between a batch and its commit fails: the ledger goes on, or the worker says why it does not."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from tests.stack.kafka import Kafka
from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.gate import Gate, gate_before
from tests.system.kafka_faults import (
    COORDINATOR_LOADING,
    FETCH,
    LIST_OFFSETS,
    METADATA_TOO_LARGE,
    NOT_COORDINATOR,
    OFFSET_COMMIT,
    KafkaFaults,
)
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"
SESSION = 6.0  # seconds: the broker's own least


@pytest.fixture
def topic(fleet: Fleet) -> str:
    fleet.settings |= {"STRONGROOM_SESSION_TIMEOUT": f"{SESSION:g}", "STRONGROOM_HEARTBEAT_INTERVAL": "1"}
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    return f"{fleet.prefix}raw-events"


@pytest.fixture
def gate(fleet: Fleet) -> Iterator[Gate]:
    """Before all data objects."""
    with gate_before(fleet.endpoint, f"{fleet.bucket}/data/") as gate:
        yield gate


@pytest.fixture
def faults(kafka: Kafka) -> Iterator[KafkaFaults]:
    with KafkaFaults(kafka) as faults:
        yield faults


def send(fleet: Fleet, topic: str, first: int, count: int) -> dict[int, int]:
    records = [(f"{KEY}{n}", envelope(KEY, f"m{n}", pad="x" * 400)) for n in range(first, first + count)]
    return produce(fleet.bootstrap, topic, records)


def archived(reader: Reader) -> Counter[str]:
    return Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines())


def claims(worker: Worker) -> int:
    return worker.log_file.read_text().count("partition_claimed")


def group_offsets(fleet: Fleet) -> dict[int, int]:
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    group = f"{fleet.prefix}archive"
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(30)
    return {tp.partition: tp.offset for tp in found.topic_partitions or [] if tp.offset >= 0}


def test_hints_that_kafka_does_not_take_hold_up_nothing_and_catch_up(
    fleet: Fleet, topic: str, reader: Reader, faults: KafkaFaults
) -> None:
    worker = fleet.worker(STRONGROOM_KAFKA_BOOTSTRAP=faults.address).wait_ready()
    sent = 0
    for refusal in (COORDINATOR_LOADING, NOT_COORDINATOR, METADATA_TOO_LARGE):
        faults.refuse_commits(refusal)
        before = faults.refused
        ends = send(fleet, topic, sent, 400)
        sent += 400
        fleet.wait_archived(ends)
        wait_until(lambda before=before: faults.refused > before, 15, worker.log)  # type: ignore[misc]  # bound early
    faults.refusal = None
    faults.freeze(OFFSET_COMMIT)
    for _ in range(3):  # each faster than the time-out of a commit
        ends = send(fleet, topic, sent, 400)
        sent += 400
        fleet.wait_archived(ends, within=9)
    assert group_offsets(fleet) != ends
    faults.heal()
    wait_until(lambda: group_offsets(fleet) == ends, 30, worker.log)
    assert archived(reader) == {f"m{n}": 1 for n in range(sent)}
    assert worker.stop() == 0


def test_a_rebalance_in_the_middle_of_a_flush(fleet: Fleet, topic: str, reader: Reader, gate: Gate) -> None:
    one = fleet.worker("one", STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
    fleet.wait_archived(send(fleet, topic, 0, 500))
    gate.shut()
    ends = send(fleet, topic, 500, 2000)
    assert gate.arrived.wait(30), one.log()
    other = fleet.worker("other").wait_ready()
    # neither waits for the flush: its partitions change hands while its PUTs still hang
    wait_until(
        lambda: one.metric("strongroom_partitions") == other.metric("strongroom_partitions") == 2,
        20,
        lambda: one.log() + other.log(),
    )
    share = {int(number) for number in re.findall(r'"partition": (\d)', claimed(other))}
    fleet.wait_archived({partition: ends[partition] for partition in share}, within=20)
    assert one.metric("strongroom_records_dropped_total") > 0
    gate.open.set()
    fleet.wait_archived(ends)
    assert archived(reader) == {f"m{n}": 1 for n in range(2500)}
    assert one.stop() == other.stop() == 0
    assert fleet.json("verify")["clean"] is True


def claimed(worker: Worker) -> str:
    return "\n".join(line for line in worker.log_file.read_text().splitlines() if "partition_claimed" in line)


def test_a_flush_slower_than_the_session_in_which_the_broker_restarts(
    fleet: Fleet, topic: str, reader: Reader, gate: Gate, kafka: Kafka
) -> None:
    worker = fleet.worker(STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
    fleet.wait_archived(send(fleet, topic, 0, 500))
    owned = claims(worker)
    gate.shut()
    ends = send(fleet, topic, 500, 2000)
    assert gate.arrived.wait(30), worker.log()
    time.sleep(SESSION + 2)
    assert claims(worker) == owned, "the member lost its place although it sends heartbeats"
    assert worker.get("/livez")[0] == 200
    kafka.restart()
    gate.open.set()
    fleet.wait_archived(ends, within=60)
    fleet.wait_archived(send(fleet, topic, 2500, 500), within=60)
    assert archived(reader) == {f"m{n}": 1 for n in range(3000)}
    assert worker.stop() == 0


def test_the_watchdog_ends_a_worker_whose_fetch_is_frozen(
    fleet: Fleet, topic: str, reader: Reader, faults: KafkaFaults
) -> None:
    """Heartbeats go on, so the group sees nothing; and the broker does not say that the log has grown."""
    worker = fleet.worker(
        STRONGROOM_KAFKA_BOOTSTRAP=faults.address,
        STRONGROOM_PROGRESS_TIMEOUT="6",
        STRONGROOM_FLUSH_INTERVAL="3600",
    ).wait_ready()
    ends = send(fleet, topic, 0, 400)
    wait_until(lambda: worker.metric("strongroom_buffered_records") == 400, 30, worker.log)
    faults.freeze(FETCH, LIST_OFFSETS)
    send(fleet, topic, 400, 400)
    assert worker.metric("strongroom_lag_records") == 0
    assert worker.process.wait(30) == 1
    assert "Kafka has sent nothing of partitions [0, 1, 2, 3] for 6 s" in worker.log()
    assert reader.heads() == ends  # what it had taken is not lost to a loop of restarts
    assert archived(reader) == {f"m{n}": 1 for n in range(400)}


def test_the_watchdog_ends_a_worker_of_which_one_partition_is_frozen(
    fleet: Fleet, topic: str, reader: Reader, faults: KafkaFaults
) -> None:
    """The others go on, so that something gets done all the time."""
    worker = fleet.worker(
        STRONGROOM_KAFKA_BOOTSTRAP=faults.address, STRONGROOM_PROGRESS_TIMEOUT="6"
    ).wait_ready()
    before = send(fleet, topic, 0, 400)
    fleet.wait_archived(before)
    faults.starve(1)
    began, sent = time.monotonic(), 400
    while worker.process.poll() is None:
        assert time.monotonic() - began < 40, worker.log()
        ends = send(fleet, topic, sent, 100)
        sent += 100
        time.sleep(0.5)
    assert worker.process.returncode == 1
    assert "Kafka has sent nothing of partitions [1] for 6 s" in worker.log()
    frozen_at = reader.heads()
    assert frozen_at[1] < ends[1]
    assert all(frozen_at[other] > before[other] for other in (0, 2, 3))
    faults.heal()
    fleet.workers.remove(worker)  # whose end was not to be feared
    again = fleet.worker().wait_ready()
    fleet.wait_archived(ends)
    assert archived(reader) == {f"m{n}": 1 for n in range(sent)}
    assert again.stop() == 0
