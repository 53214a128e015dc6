"""`--wait` and `policy status` on a fleet of two, one of them suspended: it is named until it confirms.

And what it refused of the revoked key is shown: from which host, and how much.
"""

import json

import pytest

from tests.system.fleet import Fleet
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system


def test_a_revocation_waits_for_a_suspended_worker_and_names_it(fleet: Fleet) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "web:browser")
    fleet.run("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    first = fleet.worker("first", STRONGROOM_INSTANCE_ID="first")
    second = fleet.worker("second", STRONGROOM_INSTANCE_ID="second")
    first.wait_ready()
    second.wait_ready()
    rotated = fleet.run("keys", "rotate", "k1", "--new", "k3", "--wait")
    assert b"2 of 2 live workers have applied it" in rotated.stderr
    second.suspend()
    try:
        late = fleet.run("keys", "revoke", "k1", "--reason", "leaked", "--wait", "2", "--json", code=3)
        assert json.loads(late.stdout)["workers"] == {
            "confirmed": ["first"],
            "lagging": {"second": 1},
            "silent": {},
        }
        assert b"second lags: 1 records behind" in late.stderr
        rows = {row["worker"]: row for row in fleet.json("policy", "status", code=1)}
        assert (rows["first"]["state"], rows["first"]["behind"]) == ("current", 0)
        assert (rows["second"]["state"] in {"lags", "silent"}, rows["second"]["behind"]) == (True, 1)
    finally:
        second.resume()
    # repeating it publishes nothing, and waits for what was published before
    again = fleet.run("keys", "revoke", "k1", "--reason", "leaked", "--wait")
    assert b"2 of 2 live workers have applied it" in again.stderr
    records = [(f"n{n}", envelope("k1", f"m{n}", origin="https://copy.example")) for n in range(40)]
    fleet.wait_archived(produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records))
    assert (first.stop(), second.stop()) == (0, 0)
    (row,) = fleet.json("rejections", "--workspace", "acme")
    assert (row["key"], row["reason"], row["host"]) == ("k1", "revoked_key", "copy.example")
    assert (row["records"], row["per_minute"]) == (40, 0.7)  # over the hour that is looked at
    # they stopped in order, so neither is waited for, and nobody's silence is taken for a confirmation
    nobody = fleet.run("keys", "revoke", "k3", "--reason", "leaked", "--wait", "0", code=1)
    assert b"no worker was heard" in nobody.stderr
    assert b"second" not in nobody.stderr
