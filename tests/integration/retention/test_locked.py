"""What a real bucket keeps: under Object Lock until the lock ends, and while it asks to be left alone."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.stack.s3 import S3
from tests.system.gate import Refusal, gate_before
from tests.unit.ledger.world import retry
from workers.retention.erase import Cause, erase
from workers.store.port import Store
from workers.store.s3 import open_s3

FOLDER = "data/ws=acme/src=web/day=2026-10-01/accepted/"
KEYS = [f"{FOLDER}{number:05d}" for number in range(5)]
LOCKED_FOR = 3  # seconds


@pytest.fixture
async def locking(s3: S3) -> AsyncIterator[Store]:
    """A bucket with versions and Object Lock."""
    bucket = s3.bucket_with_lock()
    store = await open_s3(bucket, endpoint=s3.endpoint, region=s3.region)
    yield store
    await store.close()


def bucket_of(store: Store) -> str:
    return store.name.removeprefix("s3://")


@pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
async def test_a_locked_version_is_reported_and_gone_once_its_lock_has_ended(
    s3: S3, locking: Store, mode: str
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=LOCKED_FOR)
    for key in KEYS[1:]:
        await locking.put(key, b"sealed")
    s3.client.put_object(
        Bucket=bucket_of(locking),
        Key=KEYS[0],
        Body=b"sealed",
        ObjectLockMode=mode,
        ObjectLockRetainUntilDate=until,
    )
    await locking.delete([KEYS[0]])  # a marker before it: the version is still there
    kept = await erase(locking, KEYS, retry())
    assert (kept.clean, kept.left, kept.cause) == (False, 1, Cause.OBJECT_LOCK)
    assert list(kept.kept) == [KEYS[0]]
    assert [version.key async for version in locking.versions("data/")] == [KEYS[0]]
    await asyncio.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1.1)
    assert (await erase(locking, KEYS, retry())).clean
    assert [version.key async for version in locking.versions("data/")] == []


async def test_a_legal_hold_of_the_buckets_own_keeps_a_version_until_it_is_lifted(
    s3: S3, locking: Store
) -> None:
    await locking.put(KEYS[0], b"sealed")
    hold = {"Bucket": bucket_of(locking), "Key": KEYS[0]}
    s3.client.put_object_legal_hold(**hold, LegalHold={"Status": "ON"})
    kept = await erase(locking, KEYS, retry())
    assert (kept.left, kept.cause) == (1, Cause.OBJECT_LOCK)
    s3.client.put_object_legal_hold(
        **hold, LegalHold={"Status": "OFF"}, **_newest(s3, bucket_of(locking), KEYS[0])
    )
    assert (await erase(locking, KEYS, retry())).clean


def _newest(s3: S3, bucket: str, key: str) -> dict[str, str]:
    """The marker may be the newest by now: the version is named."""
    found = s3.client.list_object_versions(Bucket=bucket, Prefix=key)
    return {"VersionId": found["Versions"][0]["VersionId"]}


async def test_a_bucket_that_asks_to_slow_down_is_asked_again_and_emptied(s3: S3) -> None:
    bucket = s3.versioned_bucket()
    with gate_before(s3.endpoint, bucket) as gate:
        store = await open_s3(bucket, endpoint=gate.endpoint, region=s3.region)
        for key in KEYS:
            await store.put(key, b"sealed")
        gate.refusal = Refusal("?delete", 503, "SlowDown", "POST")
        erasing = asyncio.create_task(erase(store, KEYS, retry()))
        async with asyncio.timeout(30):
            while gate.refused < 3:  # noqa: ASYNC110 # the gate is of another thread
                await asyncio.sleep(0.02)
        assert not erasing.done()
        assert [key async for key in _keys(store)] == KEYS
        gate.refusal = None
        erased = await erasing
        assert (erased.clean, erased.versions) == (True, len(KEYS))
        assert [key async for key in _keys(store)] == []
        await store.close()


async def _keys(store: Store) -> AsyncIterator[str]:
    async for version in store.versions("data/"):
        yield version.key
