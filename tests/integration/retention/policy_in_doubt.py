"""A policy that is empty, garbage, stale or out of reach: who may delete deletes nothing, and says so."""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.retention.archive import Archive, Buckets
from tests.integration.retention.record import DAY
from tests.integration.retention.test_role import EAGER, FIVE_DAYS, PAST, closed
from tests.integration.retention.wishes import Customer
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, Worker, wait_until
from tests.system.gate import Gate, Refusal, gate_before
from tests.system.kafka_faults import FETCH, LIST_OFFSETS, KafkaFaults
from tests.system.traffic import produce
from workers.store.s3 import open_s3

pytestmark = pytest.mark.integration

CHAINS = "policy/v1/workspaces/"


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    fleet = Fleet(tmp_path, kafka.bootstrap, s3.endpoint, s3.versioned_bucket(), prefix, partitions=2)
    fleet.create()
    yield fleet
    fleet.close()


@pytest.fixture
async def archive(fleet: Fleet, s3: S3) -> AsyncIterator[Archive]:
    """Two days of two customers, both long past what they keep; the topic says nothing of it yet."""
    store = await open_s3(fleet.bucket, endpoint=s3.endpoint, region=s3.region)
    replica = await open_s3(s3.versioned_bucket(), endpoint=s3.endpoint, region=s3.region)
    people = [Customer("c00", wishes=(FIVE_DAYS,)), Customer("c01", wishes=(FIVE_DAYS,))]
    archive = Archive(Buckets(store, store, replica, store), people, random.Random(1))
    archive.now = time.time_ns() // 1_000_000 - 3 * DAY
    await archive.set_up()
    for customer, wish in archive.wanted_on(0, racing=False):
        await archive.grant(customer, wish)
    for number in PAST:
        await archive.commit_day(number)
    yield archive
    await closed(archive)


class Watched:
    """A retain worker behind a gate before S3 and one before Kafka, and all that it did to the bucket."""

    def __init__(self, fleet: Fleet, gate: Gate, faults: KafkaFaults) -> None:
        self.gate = gate
        self.worker: Worker = fleet.worker(
            role="retain",
            **EAGER,
            STRONGROOM_S3_ENDPOINT=gate.endpoint,
            STRONGROOM_KAFKA_BOOTSTRAP=faults.address,
            STRONGROOM_POLICY_STALE_AFTER="2",
        )

    def deletions(self) -> list[tuple[str, str]]:
        """Requests that delete, and those that withdraw a key."""
        return [
            (method, path)
            for method, path in self.gate.seen
            if method == "DELETE"
            or (method == "POST" and "delete" in path)
            or (method == "PUT" and ("/keys/" in path or "/pending/" in path))
        ]

    def wait_for(self, metric: str, above: float = 0) -> None:
        wait_until(lambda: self.worker.metric(metric) > above, 40, lambda: f"{metric}: {self.worker.log()}")

    def says(self, sample: str) -> bool:
        return sample in self.worker.get("/metrics")[1].splitlines()

    def wait_says(self, sample: str) -> None:
        wait_until(lambda: self.says(sample), 40, lambda: f"{sample}: {self.worker.log()}")

    def two_plans(self) -> None:
        before = self.worker.log_file.read_text().count("retention_planned")
        wait_until(
            lambda: self.worker.log_file.read_text().count("retention_planned") >= before + 2,
            40,
            self.worker.log,
        )


async def test_nothing_goes_by_a_policy_that_is_empty_garbage_stale_or_out_of_reach(
    fleet: Fleet, archive: Archive, s3: S3, kafka: Kafka
) -> None:
    topic = f"{fleet.prefix}workspaces"
    with gate_before(s3.endpoint, fleet.bucket) as gate, KafkaFaults(kafka) as faults:
        watched = Watched(fleet, gate, faults)
        worker = watched.worker.wait_ready()
        gate.seen.clear()  # at its start it has tried whether it may delete, on an object of its own
        before_all = there(s3, fleet.bucket)
        # empty on Kafka
        watched.wait_says('strongroom_retention_policy_unusable{cause="empty"} 1.0')
        watched.two_plans()
        assert watched.deletions() == []

        # the chains in S3 out of reach, in both ways
        gate.refusal = Refusal(CHAINS, 403, "AccessDenied")
        fleet.run("policy", "publish")
        watched.wait_says('strongroom_holding{cause="denied"} 1.0')
        watched.wait_for("strongroom_retention_overdue_seconds")
        gate.refusal = Refusal(CHAINS, 503, "ServiceUnavailable")
        watched.wait_says('strongroom_holding{cause="unavailable"} 1.0')
        assert watched.deletions() == []

        # garbage in S3
        chains = stored(s3, fleet.bucket)
        for key in chains:
            s3.client.put_object(Bucket=fleet.bucket, Key=key, Body=b"\x00garbage")
        gate.refusal = None
        watched.wait_for('strongroom_retention_failures_total{cause="broken"}')
        assert watched.deletions() == []

        # nothing in S3 any more
        for key in chains:
            s3.client.delete_object(Bucket=fleet.bucket, Key=key)
        before = watched.worker.metric('strongroom_retention_steps_total{outcome="kept"}')
        watched.wait_for('strongroom_retention_steps_total{outcome="kept"}', before)
        watched.two_plans()
        assert worker.metric("strongroom_retention_overdue_seconds") > DAY / 1000  # what is alerted on
        assert watched.deletions() == []

        # stale: Kafka is half open
        faults.freeze(FETCH, LIST_OFFSETS)
        watched.wait_says('strongroom_retention_policy_unusable{cause="stale"} 1.0')
        for key, body in chains.items():
            s3.client.put_object(Bucket=fleet.bucket, Key=key, Body=body)
        await asyncio.sleep(1)
        assert watched.deletions() == []
        assert there(s3, fleet.bucket) == before_all

        # garbage on Kafka, under the names of both
        produce(fleet.bootstrap, topic, [("c00", b"\x00garbage"), ("c01", b"{}")])
        faults.heal()
        watched.wait_for("strongroom_policy_kept_out_total", 1)
        watched.wait_says('strongroom_retention_policy_unusable{cause="stale"} 0.0')
        watched.two_plans()
        # what is nobody's goes again: the policy is usable but for these two
        assert not [path for _, path in watched.deletions() if "ws=c0" in path]

        assert {each for each in before_all if "/ws=c0" in each} <= there(s3, fleet.bucket)

        # and all of it was due
        fleet.run("policy", "publish")
        units = len(
            {(kept.stored.workspace, kept.stored.source, kept.stored.day) for kept in archive.all_kept}
        )
        watched.wait_for("strongroom_retention_disposals_total", units - 1)
        assert worker.stop() == 0


def stored(s3: S3, bucket: str) -> dict[str, bytes]:
    listed = s3.client.list_objects_v2(Bucket=bucket, Prefix=CHAINS).get("Contents", [])
    return {
        each["Key"]: s3.client.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed
    }


def there(s3: S3, bucket: str) -> set[str]:
    """Every version of objects and of keys."""
    return {
        f"{version['Key']} {version['VersionId']}"
        for prefix in ("data/", "keys/")
        for version in s3.client.list_object_versions(Bucket=bucket, Prefix=prefix).get("Versions", [])
    }
