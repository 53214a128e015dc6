"""Records that came before their key was registered go to its workspace when it is, each once."""

import json
from collections import Counter

import pytest

from tests.system.fleet import Fleet, wait_until
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

LATE, STRANGER = "acme-api-key-0001", "nobodys-key-0001"


def test_records_of_a_key_are_replayed_once_it_is_registered(fleet: Fleet) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    worker = fleet.worker().wait_ready()
    steward = fleet.worker("steward", role="steward", STRONGROOM_REPLAY_INTERVAL="0.5").wait_ready()
    records = [(f"{LATE}{n}", envelope(LATE, f"m{n}")) for n in range(200)]
    records += [(f"{STRANGER}{n}", envelope(STRANGER, f"s{n}")) for n in range(20)]
    fleet.wait_archived(produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records))
    wait_until(lambda: steward.metric("strongroom_unclaimed_records") == 220, 60, steward.log)
    waiting = {row["key"]: row["records"] for row in fleet.json("unclaimed", "--keys")}
    assert waiting == {LATE: 200, STRANGER: 20}

    added = fleet.run("keys", "add", LATE, "--workspace", "acme", "--source", "api")
    assert b"will be replayed into acme/api" in added.stderr
    wait_until(lambda: steward.metric("strongroom_replayed_records_total") == 200, 60, steward.log)
    lines = fleet.run("read", "--workspace", "acme", "--unwrap").stdout.splitlines()
    assert Counter(json.loads(line)["messageId"] for line in lines) == {f"m{n}": 1 for n in range(200)}
    waiting = {row["key"]: row["records"] for row in fleet.json("unclaimed", "--keys")}
    assert waiting == {STRANGER: 20}
    assert fleet.json("verify", "--deep")["clean"]
    assert steward.stop() == worker.stop() == 0
