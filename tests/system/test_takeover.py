"""Workers of a group die at the worst moment, and the others archive each record once."""

import json
from collections import Counter

import pytest

from tests.system.fleet import Fleet, wait_until
from tests.system.gate import gate_before
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"


def set_up(fleet: Fleet) -> str:
    fleet.settings |= {"STRONGROOM_SESSION_TIMEOUT": "6", "STRONGROOM_HEARTBEAT_INTERVAL": "1"}
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    return f"{fleet.prefix}raw-events"


def send(fleet: Fleet, topic: str, first: int, count: int) -> dict[int, int]:
    records = [(f"{KEY}{n}", envelope(KEY, f"m{n}", pad="x" * 400)) for n in range(first, first + count)]
    return produce(fleet.bootstrap, topic, records)


def archived(reader: Reader) -> Counter[str]:
    return Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines())


def test_a_worker_killed_between_its_objects_and_its_entry(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    with gate_before(fleet.endpoint, f"{fleet.bucket}/ledger/") as gate:
        victim = fleet.worker("victim", STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
        send(fleet, topic, 0, 2000)
        fleet.wait_archived(send(fleet, topic, 2000, 2000))
        other = fleet.worker("other").wait_ready()
        wait_until(
            lambda: victim.metric("strongroom_partitions") == other.metric("strongroom_partitions") == 2,
            30,
            lambda: victim.log() + other.log(),
        )
        gate.shut()
        ends = send(fleet, topic, 4000, 2000)
        assert gate.arrived.wait(30), victim.log()
        before = set(reader.keys("data/"))
        victim.kill()  # its objects are there, its entry waits at the gate and never gets through
    listed = {stored["key"] for entry in reader.entries() for stored in entry.body["objects"]}
    assert before - listed, "the worker was not killed in the middle of a flush"
    fleet.wait_archived(ends)
    assert archived(reader) == {f"m{n}": 1 for n in range(6000)}
    # restarted, it takes its share again
    again = fleet.worker("victim").wait_ready()
    wait_until(lambda: again.metric("strongroom_partitions") == 2, 30, again.log)
    fleet.wait_archived(send(fleet, topic, 6000, 2000))
    assert archived(reader) == {f"m{n}": 1 for n in range(8000)}
    assert again.stop() == other.stop() == 0
    report = fleet.json("verify")
    assert report["clean"] is True
    assert report["orphans"] >= 1  # what the victim left is seen by nobody and counted


def test_a_worker_that_slept_through_its_session_is_fenced_and_goes_on(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    with gate_before(fleet.endpoint, f"{fleet.bucket}/ledger/") as gate:
        sleeper = fleet.worker("sleeper", STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
        fleet.wait_archived(send(fleet, topic, 0, 1000))
        gate.shut()
        ends = send(fleet, topic, 1000, 2000)
        assert gate.arrived.wait(30), sleeper.log()
        sleeper.suspend()
        other = fleet.worker("other").wait_ready()
        fleet.wait_archived(ends)
        gate.open.set()  # the sleeper's entries arrive now, long after another has taken their places
        sleeper.resume()
        ends = send(fleet, topic, 3000, 2000)
        fleet.wait_archived(ends)
    assert archived(reader) == {f"m{n}": 1 for n in range(5000)}
    assert fleet.json("verify")["clean"] is True
    assert other.stop() == 0
    assert sleeper.stop() == 0


def test_sigterm_flushes_what_is_buffered(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    worker = fleet.worker(STRONGROOM_FLUSH_INTERVAL="3600").wait_ready()
    ends = send(fleet, topic, 0, 3000)
    wait_until(lambda: worker.metric("strongroom_buffered_records") == 3000, 30, worker.log)
    assert reader.heads() == {}
    assert worker.stop() == 0
    assert reader.heads() == ends
    assert archived(reader) == {f"m{n}": 1 for n in range(3000)}


def test_workers_that_stop_together_flush_what_is_buffered(fleet: Fleet, reader: Reader) -> None:
    topic = set_up(fleet)
    fleet.settings |= {"STRONGROOM_FLUSH_INTERVAL": "3600", "STRONGROOM_SHUTDOWN_TIMEOUT": "35"}
    with gate_before(fleet.endpoint, f"{fleet.bucket}/data/") as gate:
        slow = fleet.worker("slow", STRONGROOM_S3_ENDPOINT=gate.endpoint)
        fast = fleet.worker("fast")

        def of_each(name: str) -> list[float]:
            return [worker.metric(name) for worker in (slow, fast)]

        def logs() -> str:
            return slow.log() + fast.log()

        wait_until(lambda: of_each("strongroom_partitions") == [2, 2], 30, logs)
        ends = send(fleet, topic, 0, 3000)
        wait_until(lambda: sum(of_each("strongroom_buffered_records")) == 3000, 30, logs)
        assert reader.heads() == {}
        gate.shut()
        slow.process.terminate()
        assert gate.arrived.wait(30), slow.log()
        assert fast.stop() == 0
        wait_until(lambda: "revocation_waits" in slow.log(), 15, slow.log)
        assert slow.process.poll() is None
        gate.open.set()
        assert slow.process.wait(30) == 0, slow.log()
    assert reader.heads() == ends
    assert archived(reader) == {f"m{n}": 1 for n in range(3000)}
