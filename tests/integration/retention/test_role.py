"""`strongroom worker retain` as processes on a real Kafka and S3: one is killed, the other finishes."""

import random
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.retention.archive import Archive, Buckets
from tests.integration.retention.record import DAY
from tests.integration.retention.wishes import Customer, What, Wish
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, wait_until
from workers.store.s3 import open_s3

pytestmark = pytest.mark.integration

PAST = range(-40, -38)  # days
FIVE_DAYS = Wish(0, What.SET, racing=False, days=5)
EAGER = {
    "STRONGROOM_RETAIN_DELETE": "true",
    "STRONGROOM_RETAIN_INTERVAL": "1",
    "STRONGROOM_DESTROY_AFTER": "2",
    "STRONGROOM_KEY_CACHE_LIFE": "1",
    "STRONGROOM_ROOT_KEY_FILE": "",
    "STRONGROOM_SESSION_TIMEOUT": "6",
    "STRONGROOM_HEARTBEAT_INTERVAL": "1",
}


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(
        tmp_path,
        kafka.bootstrap,
        s3.endpoint,
        s3.versioned_bucket(),
        f"t{uuid.uuid4().hex[:8]}-",
        partitions=2,
    )
    fleet.create()
    yield fleet
    fleet.close()


async def filled(fleet: Fleet, s3: S3) -> Archive:
    """Two days of two customers, long ago; one keeps for five days, and has said so three days ago."""
    store = await open_s3(fleet.bucket, endpoint=s3.endpoint, region=s3.region)
    replica = await open_s3(s3.versioned_bucket(), endpoint=s3.endpoint, region=s3.region)
    people = [Customer("c00", wishes=(FIVE_DAYS,)), Customer("c01")]
    archive = Archive(Buckets(store, store, replica, store), people, random.Random(1))
    archive.now = time.time_ns() // 1_000_000 - 3 * DAY
    await archive.set_up()
    for customer, wish in archive.wanted_on(0, racing=False):
        await archive.grant(customer, wish)
    for number in PAST:
        await archive.commit_day(number)
    return archive


async def closed(archive: Archive) -> None:
    await archive.buckets.data.close()
    await archive.buckets.replica.close()


async def test_what_is_due_goes_with_proof_though_a_worker_is_killed(fleet: Fleet, s3: S3) -> None:
    archive = await filled(fleet, s3)
    fleet.run("policy", "publish")
    due = fleet.json("retention", "plan")
    assert {row["goes"] for row in due} == {"now"}
    assert {row["workspace"] for row in due} == {"c00", "_platform"}
    fleet.settings["STRONGROOM_ALSO_DELETE_FROM"] = archive.buckets.replica.name.removeprefix("s3://")
    victim = fleet.worker("victim", role="retain", **EAGER).wait_ready()
    wait_until(lambda: victim.metric("strongroom_retention_steps_total") > 0, 30, victim.log)
    victim.kill()
    other = fleet.worker("other", role="retain", **EAGER).wait_ready()
    wait_until(lambda: other.metric("strongroom_retention_disposals_total") == len(due), 60, other.log)
    assert other.stop() == 0
    assert len(fleet.json("retention", "certificates")) == len(due)

    assert fleet.json("retention", "plan") == []
    report = fleet.json("verify", code=1)
    assert report["kinds"] == {"missing_fleet": 1}  # no archive worker has ever started here
    assert report["became"] == {"disposed": sum(row["records"] for row in due)}
    gone = [kept.stored for kept in archive.all_kept if kept.stored.workspace != "c01"]
    left = [kept.stored for kept in archive.all_kept if kept.stored.workspace == "c01"]
    for store in (archive.buckets.data, archive.buckets.replica):
        there = {version.key async for version in store.versions("data/")}
        assert there == {stored.key for stored in left}
    said = fleet.json("retention", "explain", gone[0].key)
    assert (said["there"], "certificate" in said) == (False, True)
    said = fleet.json("retention", "explain", left[0].key)
    assert (said["there"], said["policy"]) == (True, "records of c01/web are kept for ever")
    await closed(archive)
