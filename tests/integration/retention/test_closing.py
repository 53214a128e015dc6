"""A closed workspace's end on a real Kafka and S3: workers are killed between its key and its certificate."""

import asyncio
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.retention.test_role import EAGER
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.gate import Gate, gate_before
from tests.system.seen import topics
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.integration

KEY, OTHERS_KEY = "acme-api-key-0001", "zoo-api-key-0001"
CERTIFICATE = "certificates/v1/ws=acme/closing.json"
OWN_KEY = "keys/v1/ws=acme/l1.json"
# the installed command, by a clock that is three days slow: nobody waits a day for a test
DAYS_AGO = """
import sys, time
at = time.time_ns
time.time_ns = lambda: at() - 3 * 86_400 * 10**9
from workers.__main__ import main
main()
"""


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    fleet = Fleet(tmp_path, kafka.bootstrap, s3.endpoint, s3.versioned_bucket(), prefix, partitions=1)
    fleet.create()
    fleet.settings |= {name: EAGER[name] for name in EAGER if "HEARTBEAT" in name or "SESSION" in name}
    fleet.settings |= {"STRONGROOM_KEY_CACHE_LIFE": "1"}
    for workspace, key in (("acme", KEY), ("zoo", OTHERS_KEY)):
        days_ago(fleet, "workspaces", "set", workspace, "--source", "api:server")
        days_ago(fleet, "keys", "add", key, "--workspace", workspace, "--source", "api")
    yield fleet
    fleet.close()


def days_ago(fleet: Fleet, *arguments: str) -> None:
    now, fleet.command = fleet.command, (sys.executable, "-c", DAYS_AGO)
    try:
        fleet.run(*arguments)
    finally:
        fleet.command = now


def send(fleet: Fleet, key: str, first: int, count: int) -> dict[int, int]:
    records = [(f"{key}{n}", envelope(key, f"m{n}")) for n in range(first, first + count)]
    return produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)


def killed_at(fleet: Fleet, gate: Gate, name: str) -> Worker:
    """A retain worker that dies while its PUT of `name` is on the way, which never arrives."""
    gate.prefix = name
    gate.shut()
    victim = fleet.worker("victim", role="retain", **EAGER, STRONGROOM_S3_ENDPOINT=gate.endpoint)
    assert gate.arrived.wait(90), victim.log()
    victim.kill()
    return victim


async def test_a_closed_workspace_ends_once_though_workers_die_and_records_come_between(
    fleet: Fleet, s3: S3
) -> None:
    with (
        gate_before(fleet.endpoint, f"{fleet.bucket}/ledger/v1/") as late,
        gate_before(fleet.endpoint, "") as first,
        gate_before(fleet.endpoint, "") as second,
    ):
        archive = fleet.worker("archive", STRONGROOM_S3_ENDPOINT=late.endpoint).wait_ready()
        fleet.wait_archived(send(fleet, KEY, 0, 20) | send(fleet, OTHERS_KEY, 0, 20))
        others = stored(s3, fleet, "data/ws=zoo/") | stored(s3, fleet, "keys/v1/ws=zoo/")
        # what is on its way when the workspace is closed: the objects are there, the entry is not
        late.shut()
        ends = send(fleet, KEY, 20, 7)
        assert late.arrived.wait(30), archive.log()
        archive.suspend()
        await asyncio.to_thread(days_ago, fleet, "workspaces", "close", "acme", "--reason", "they left")

        killed_at(fleet, first, f"{fleet.bucket}/{OWN_KEY}")
        assert not is_destroyed(s3, fleet)
        assert stored(s3, fleet, "certificates/v1/ws=acme/src=")  # all that is live has gone
        killed_at(fleet, second, f"{fleet.bucket}/{CERTIFICATE}")
        assert is_destroyed(s3, fleet)
        assert not stored(s3, fleet, CERTIFICATE)

        # new records, between its key and its certificate
        late.open.set()
        archive.resume()
        fleet.wait_archived(ends, within=60)
        refused = fleet.run("workspaces", "set", "acme", "--state", "open", code=1)
        assert b"its own key is destroyed" in refused.stderr
        other = fleet.worker("other", role="retain", **EAGER).wait_ready()
        wait_until(lambda: bool(stored(s3, fleet, CERTIFICATE)), 90, other.log)
        fleet.wait_archived(send(fleet, KEY, 27, 5), within=60)
        wait_until(lambda: fleet.json("retention", "plan") == [], 60, other.log)
        assert other.metric("strongroom_retention_closings_total") == 1
        assert archive.stop() == 0
        assert other.stop() == 0

    issued = json.loads(body(s3, fleet, CERTIFICATE))
    *disposals, closing = fleet.json("retention", "certificates", "--workspace", "acme")
    assert (closing["kind"], {each["kind"] for each in disposals}) == ("closing", {"disposal"})
    assert issued["disposed"]["disposals"] == len(disposals) >= 2
    assert (
        issued["disposed"]["records"]
        == closing["records"]
        == sum(each["records"] for each in disposals)
        == 27
    )
    assert len(versions(s3, fleet, CERTIFICATE)) == 1
    assert {told["subject"] for told in audited(fleet)} == {"acme"}
    assert {told["id"] for told in audited(fleet)} == {CERTIFICATE}
    assert not stored(s3, fleet, "data/ws=acme/")
    assert not wrapped_keys(s3, fleet)
    assert others == stored(s3, fleet, "data/ws=zoo/") | stored(s3, fleet, "keys/v1/ws=zoo/")
    report = fleet.json("verify")
    assert report["clean"] is True, json.dumps(report)[:2000]
    assert report["became"] == {"disposed": 27}


def is_destroyed(s3: S3, fleet: Fleet) -> bool:
    return bool(json.loads(body(s3, fleet, OWN_KEY))["state"] == "tombstone")


def wrapped_keys(s3: S3, fleet: Fleet) -> list[str]:
    """Of the workspace and its units, in whatever version of a row: what could still open an object."""
    rows = [
        (key, json.loads(body(s3, fleet, key, version)))
        for key, version in versions(s3, fleet, "keys/v1/ws=acme/")
    ]
    assert len(rows) >= 2
    return [key for key, row in rows if row.get("wrapped") or row.get("keys")]


def audited(fleet: Fleet) -> list[dict[str, Any]]:
    """What the topic `audit` has of closings."""
    told = [
        json.loads(text[text.index(b"{") :].splitlines()[0])
        for place, text in topics(fleet.bootstrap, fleet.prefix)
        if place.startswith(f"{fleet.prefix}audit/")
    ]
    return [each for each in told if each["action"] == "retention.closed"]


def versions(s3: S3, fleet: Fleet, prefix: str) -> list[tuple[str, str]]:
    pages = s3.client.get_paginator("list_object_versions").paginate(Bucket=fleet.bucket, Prefix=prefix)
    return [(each["Key"], each["VersionId"]) for page in pages for each in page.get("Versions", [])]


def stored(s3: S3, fleet: Fleet, prefix: str) -> set[str]:
    """Names, of all versions."""
    return {key for key, _ in versions(s3, fleet, prefix)}


def body(s3: S3, fleet: Fleet, key: str, version: str | None = None) -> bytes:
    named = {"VersionId": version} if version else {}
    return bytes(s3.client.get_object(Bucket=fleet.bucket, Key=key, **named)["Body"].read())
