"""What a killed worker left is swept by the steward, once it can never commit, and nothing else."""

import json
from collections import Counter

import pytest

from tests.system.fleet import Fleet, wait_until
from tests.system.gate import gate_before
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"


def send(fleet: Fleet, first: int, count: int) -> dict[int, int]:
    records = [(f"{KEY}{n}", envelope(KEY, f"m{n}", pad="x" * 200)) for n in range(first, first + count)]
    return produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)


def test_the_steward_sweeps_what_a_killed_worker_left(fleet: Fleet, reader: Reader) -> None:
    fleet.settings |= {"STRONGROOM_SESSION_TIMEOUT": "6", "STRONGROOM_HEARTBEAT_INTERVAL": "1"}
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    with gate_before(fleet.endpoint, f"{fleet.bucket}/ledger/") as gate:
        victim = fleet.worker("victim", STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
        fleet.wait_archived(send(fleet, 0, 1000))
        gate.shut()
        ends = send(fleet, 1000, 1000)
        assert gate.arrived.wait(30), victim.log()

        # its objects are there and its entry is not: whatever the settings, they must stay
        eager = {
            "STRONGROOM_SWEEP_DELETE": "true",
            "STRONGROOM_SWEEP_GRACE": "0",
            "STRONGROOM_SWEEP_INTERVAL": "0.2",
            "STRONGROOM_KAFKA_BOOTSTRAP": "127.0.0.1:1",  # it needs none
            "STRONGROOM_ROOT_KEY_FILE": "",
        }
        steward = fleet.worker("steward", role="steward", **eager).wait_ready()
        wait_until(lambda: steward.metric("strongroom_sweep_ended_seconds") > 0, 30, steward.log)
        listed = fleet.json("orphans", "list")
        waiting = {row["key"] for row in listed}
        assert {row["kind"] for row in listed} == {"pending"}
        assert steward.metric("strongroom_orphans_swept_total") == 0
        assert steward.stop() == 0
        victim.kill()
    other = fleet.worker("other").wait_ready()
    fleet.wait_archived(ends)

    orphans = {row["key"] for row in fleet.json("orphans", "list") if row["kind"] == "orphan"}
    assert orphans >= waiting, "the entry got through: the worker did not die between objects and entry"
    assert fleet.json("verify")["orphans"] == len(orphans)
    assert {*reader.keys("data/")} >= orphans

    steward = fleet.worker("steward", role="steward", **eager).wait_ready()
    wait_until(lambda: steward.metric("strongroom_orphans_swept_total") == len(orphans), 30, steward.log)
    assert steward.stop() == other.stop() == 0
    assert not {*reader.keys("data/")} & orphans
    report = fleet.json("verify")
    assert (report["clean"], report["orphans"]) == (True, 0)
    assert Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines()) == {
        f"m{n}": 1 for n in range(2000)
    }
