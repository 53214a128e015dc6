"""Records go from Kafka through a real worker into the bucket, and an independent reader finds each once."""

import json
import time
from collections import Counter

import pytest

from tests.system.fleet import Fleet
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

SECRET = "planted-string-that-must-never-lie-in-clear"


def set_up(fleet: Fleet) -> None:
    fleet.run("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "shop.example")
    fleet.run("workspaces", "set", "beta", "--source", "api:server")
    fleet.run("keys", "add", "acme-web-key-0001", "--workspace", "acme", "--source", "web")
    fleet.run("keys", "add", "beta-api-key-0001", "--workspace", "beta", "--source", "api")
    fleet.run("keys", "add", "beta-old-key-0001", "--workspace", "beta", "--source", "api")
    fleet.run("keys", "revoke", "beta-old-key-0001", "--reason", "leaked")


def message(line: bytes) -> str:
    return str(json.loads(line)["event"]["messageId"])


def test_the_main_job(fleet: Fleet, reader: Reader) -> None:
    set_up(fleet)
    worker = fleet.worker().wait_ready()
    good = [
        (
            "acme-web-key-0001",
            envelope("acme-web-key-0001", f"a{n}", origin="https://shop.example", note=SECRET),
        )
        for n in range(500)
    ]
    server = [("beta-api-key-0001", envelope("beta-api-key-0001", f"b{n}", note=SECRET)) for n in range(300)]
    copied = [
        ("acme-web-key-0001", envelope("acme-web-key-0001", f"c{n}", origin="https://copy.example"))
        for n in range(20)
    ]
    revoked = [("beta-old-key-0001", envelope("beta-old-key-0001", f"r{n}", note=SECRET)) for n in range(30)]
    unknown = [("nobody", envelope("nobody", f"u{n}", note=SECRET)) for n in range(7)]
    broken = [("x", b"{not json " + SECRET.encode()), ("x", b""), ("x", b'{"v":9,"writeKey":"k"}')]
    topic = f"{fleet.prefix}raw-events"
    ends = produce(fleet.bootstrap, topic, [*good, *server, *copied, *revoked, *unknown, *broken])
    fleet.wait_archived(ends)
    assert worker.stop() == 0

    # an independent reader, from the documented format alone
    found: dict[tuple[str, str], list[bytes]] = {}
    for stored, line in reader.lines():
        found.setdefault((stored["workspace"], stored["disposition"]), []).append(line)
    assert Counter(map(message, found["acme", "accepted"])) == {f"a{n}": 1 for n in range(500)}
    assert Counter(map(message, found["beta", "accepted"])) == {f"b{n}": 1 for n in range(300)}
    assert Counter(map(message, found["acme", "flagged"])) == {f"c{n}": 1 for n in range(20)}
    assert Counter(map(message, found["_platform", "quarantined"])) == {f"u{n}": 1 for n in range(7)}
    assert sorted(found["acme", "accepted"]) == sorted(value for _, value in good)  # byte for byte
    assert len(found["_platform", "dead-lettered"]) == 3
    counts = reader.counts()
    assert counts["rejected"] == {"revoked_key": 30}
    assert sum(sum(reasons.values()) for reasons in counts.values()) == 860
    assert reader.heads() == {partition: end for partition, end in ends.items() if end}

    # the program's own word
    assert fleet.json("verify")["clean"] is True
    read = fleet.run(
        "read", "--workspace", "acme", "--disposition", "accepted", "--unwrap"
    ).stdout.splitlines()
    assert Counter(json.loads(line)["messageId"] for line in read) == {f"a{n}": 1 for n in range(500)}
    assert not fleet.run("read", "--workspace", "gamma").stdout

    # nothing but sealed bytes
    keys = reader.keys()
    assert {key.split("/")[0] for key in keys} >= {"data", "ledger", "keys", "policy", "fleet.json"}
    for key in keys:
        body, metadata = reader.get(key)
        assert SECRET.encode() not in body, key
        assert SECRET not in json.dumps(metadata), key
        if key.startswith("data/"):
            assert set(metadata) == {f"x-amz-{name}" for name in "c3wdit"}, key
    assert SECRET not in worker.log_file.read_text()


def test_a_key_revoked_while_running_stops_with_no_restart(fleet: Fleet, reader: Reader) -> None:
    set_up(fleet)
    worker = fleet.worker().wait_ready()
    topic, key = f"{fleet.prefix}raw-events", "acme-web-key-0001"
    before = [(key, envelope(key, f"before{n}", origin="https://shop.example")) for n in range(50)]
    fleet.wait_archived(produce(fleet.bootstrap, topic, before))
    fleet.run("keys", "revoke", key, "--reason", "scraped copy")
    # the command has returned: the promise is one second to the last decision that accepts
    time.sleep(1)
    after = [(key, envelope(key, f"after{n}", origin="https://shop.example")) for n in range(50)]
    fleet.wait_archived(produce(fleet.bootstrap, topic, after))
    assert worker.stop() == 0
    assert reader.counts() == {"accepted": {"accepted": 50}, "rejected": {"revoked_key": 50}}


def test_a_restarted_worker_goes_on_where_the_ledger_ends(fleet: Fleet, reader: Reader) -> None:
    set_up(fleet)
    topic, key = f"{fleet.prefix}raw-events", "beta-api-key-0001"
    sent = 0
    for _ in range(3):
        worker = fleet.worker().wait_ready()
        ends = produce(
            fleet.bootstrap, topic, [(key, envelope(key, f"m{n}")) for n in range(sent, sent + 100)]
        )
        sent += 100
        fleet.wait_archived(ends)
        assert worker.stop() == 0
    assert Counter(message(line) for _, line in reader.lines()) == {f"m{n}": 1 for n in range(sent)}
