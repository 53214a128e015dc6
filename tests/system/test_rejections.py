"""Who is refused is told while the worker runs, to whoever asks, and not at its end alone."""

import pytest

from tests.system.fleet import Fleet, wait_until
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system


def test_a_running_worker_tells_what_it_refuses(fleet: Fleet) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "web:browser")
    fleet.run("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    fleet.run("keys", "revoke", "k1", "--reason", "leaked")
    worker = fleet.worker().wait_ready()
    refused = [(f"r{n}", envelope("k1", f"r{n}", origin="https://copy.example")) for n in range(30)]
    fleet.wait_archived(produce(fleet.bootstrap, f"{fleet.prefix}raw-events", refused))

    def told() -> int:
        rows = fleet.json("rejections", "--workspace", "acme")
        return sum(row["records"] for row in rows if row["reason"] == "revoked_key")

    wait_until(lambda: told() == 30, 20, worker.log)
    assert worker.process.poll() is None
