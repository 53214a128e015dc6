"""An archive worker sleeps through the disposal of its day, and brings nothing back when it wakes up."""

import asyncio
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.integration.retention.archive import RETRY, Spread
from tests.integration.retention.record import DAY
from tests.integration.retention.test_role import EAGER
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.gate import gate_before
from tests.system.traffic import envelope, produce
from topics.workspaces import WorkspaceState
from workers.by import By
from workers.ledger import policy_commands
from workers.store.s3 import open_s3

pytestmark = pytest.mark.system

KEY = "acme-api-key-0001"


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    fleet = Fleet(tmp_path, kafka.bootstrap, s3.endpoint, s3.versioned_bucket(), prefix, partitions=2)
    fleet.create()
    fleet.settings |= {name: EAGER[name] for name in EAGER if "HEARTBEAT" in name or "SESSION" in name}
    fleet.settings |= {"STRONGROOM_KEY_CACHE_LIFE": "1"}
    fleet.run("workspaces", "set", "acme", "--source", "api:server")
    fleet.run("keys", "add", KEY, "--workspace", "acme", "--source", "api")
    yield fleet
    fleet.close()


def send(fleet: Fleet, first: int, count: int) -> dict[int, int]:
    records = [(f"{KEY}{n}", envelope(KEY, f"m{n}", pad="x" * 400)) for n in range(first, first + count)]
    return produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)


async def closed_days_ago(fleet: Fleet, s3: S3) -> None:
    """So that all of the workspace is due now: nobody waits a day for a test."""
    store = await open_s3(fleet.bucket, endpoint=s3.endpoint, region=s3.region)
    books = policy_commands.open_books(store, Spread(), prefix=fleet.prefix, retry=RETRY)
    by = By("test", "host", "test", time.time_ns() // 1_000_000 - 3 * DAY)
    await policy_commands.set_workspace(
        books, "acme", lambda before: msgspec.structs.replace(before, state=WorkspaceState.CLOSED), by
    )
    await store.close()
    await asyncio.to_thread(fleet.run, "policy", "publish")


def stored(s3: S3, fleet: Fleet) -> set[str]:
    pages = s3.client.get_paginator("list_object_versions").paginate(
        Bucket=fleet.bucket, Prefix="data/ws=acme/"
    )
    return {version["Key"] for page in pages for version in page.get("Versions", [])}


async def test_a_zombie_brings_nothing_back(fleet: Fleet, s3: S3) -> None:
    """Its objects are there when it stops, and its entry is on its way."""
    with gate_before(fleet.endpoint, f"{fleet.bucket}/ledger/v1/") as gate:
        zombie = fleet.worker("zombie", STRONGROOM_S3_ENDPOINT=gate.endpoint).wait_ready()
        fleet.wait_archived(send(fleet, 0, 200))
        committed = stored(s3, fleet)
        assert wrapped_keys(s3, fleet) >= 1
        gate.shut()
        ends = send(fleet, 200, 200)
        assert gate.arrived.wait(30), zombie.log()
        wait_until(lambda: bool(stored(s3, fleet) - committed), 20, zombie.log)
        zombie.suspend()
        await closed_days_ago(fleet, s3)
        retain = fleet.worker("retain", role="retain", **EAGER).wait_ready()
        wait_until(lambda: retain.metric("strongroom_retention_disposals_total") >= 1, 60, retain.log)
        assert not committed & stored(s3, fleet)
        gate.open.set()  # what it had sent arrives now, behind the certificate
        zombie.resume()
        fleet.wait_archived(ends, within=60)
        await nothing_is_live(fleet, s3, retain)
        assert zombie.stop() == 0
        assert retain.stop() == 0


async def nothing_is_live(fleet: Fleet, s3: S3, retain: Worker) -> None:
    """What the zombie committed late is disposed of too; what it left without an entry is an orphan."""
    wait_until(lambda: fleet.json("retention", "plan") == [], 60, retain.log)
    report = fleet.json("verify")
    assert report["clean"] is True, json.dumps(report)[:2000]
    left = stored(s3, fleet)
    assert report["orphans"] >= len(left)
    certificates = fleet.json("retention", "certificates")
    assert len(certificates) >= 1
    assert wrapped_keys(s3, fleet) == 0


def wrapped_keys(s3: S3, fleet: Fleet) -> int:
    """Of the workspace's units, in whatever version of a row: what could still open an object of them."""
    listed = s3.client.list_object_versions(Bucket=fleet.bucket, Prefix="keys/v1/ws=acme/src=")
    rows = [
        s3.client.get_object(Bucket=fleet.bucket, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
        for each in listed.get("Versions", [])
    ]
    return sum(bool(json.loads(row).get("wrapped")) for row in rows)
