"""Three workers with static membership restart one after the other: nothing moves, no batch is dropped."""

import json
from collections import Counter

import pytest

from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"


class Rollout:
    """Nobody flushes but who is stopped: a partition that moves takes a batch from its worker, unarchived."""

    def __init__(self, fleet: Fleet, reader: Reader) -> None:
        self.fleet, self.reader = fleet, reader
        self.sent = 0
        self.ends: dict[int, int] = {}
        self.live: dict[str, Worker] = {}

    def start(self, name: str) -> Worker:
        self.live[name] = self.fleet.worker(name, STRONGROOM_INSTANCE_ID=name).wait_ready()
        return self.live[name]

    def send(self, count: int) -> None:
        names = range(self.sent, self.sent + count)
        records = [(f"{KEY}{n}", envelope(KEY, f"m{n}")) for n in names]
        self.ends |= produce(self.fleet.bootstrap, f"{self.fleet.prefix}raw-events", records)
        self.sent += count

    def wait_taken(self) -> None:
        """Until each record is archived, or in a worker's batch."""
        wait_until(
            lambda: (
                sum(self.reader.heads().values())
                + sum(worker.metric("strongroom_buffered_records") for worker in self.live.values())
                == self.sent
            ),
            60,
            self.logs,
        )

    def logs(self) -> str:
        return "".join(worker.log() for worker in self.live.values())

    def undisturbed(self) -> dict[str, tuple[list[int], float]]:
        """What no rebalance leaves as it was: each claim of a worker ever made, and what it has dropped."""
        return {
            name: (claimed(worker), worker.metric("strongroom_records_dropped_total"))
            for name, worker in self.live.items()
        }


def claimed(worker: Worker) -> list[int]:
    """Oldest first."""
    events = [json.loads(line) for line in worker.log_file.read_text().splitlines() if line.startswith("{")]
    return [event["partition"] for event in events if event.get("event") == "partition_claimed"]


def test_a_rolling_restart_moves_no_partition_and_drops_no_batch(fleet: Fleet, reader: Reader) -> None:
    fleet.settings |= {
        "STRONGROOM_SESSION_TIMEOUT": "45",  # must outlast a restart
        "STRONGROOM_FLUSH_INTERVAL": "3600",
    }
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    rollout = Rollout(fleet, reader)
    names = [f"worker-{n}" for n in range(3)]
    for name in names:
        rollout.start(name)
    wait_until(
        lambda: (
            sorted(worker.metric("strongroom_partitions") for worker in rollout.live.values()) == [1, 1, 2]
        ),
        30,
        rollout.logs,
    )
    rollout.send(400)
    rollout.wait_taken()
    for name in names:
        leaves = rollout.live.pop(name)
        share = claimed(leaves)[-int(leaves.metric("strongroom_partitions")) :]
        others = rollout.undisturbed()
        assert leaves.stop() == 0
        rollout.send(400)  # some of it for partitions that nobody reads just now
        comes = rollout.start(name)
        rollout.wait_taken()
        assert sorted(claimed(comes)) == sorted(share)
        del rollout.live[name]
        assert rollout.undisturbed() == others
        rollout.live[name] = comes
    assert all(worker.stop() == 0 for worker in rollout.live.values())
    assert reader.heads() == rollout.ends
    # one flush a partition at each of the two stops of its worker: no batch was dropped, or cut in two
    assert Counter(entry.body["partition"] for entry in reader.entries()) == dict.fromkeys(range(4), 2)
    lines = Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines())
    assert lines == {f"m{n}": 1 for n in range(rollout.sent)}
