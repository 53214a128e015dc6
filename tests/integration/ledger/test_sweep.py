"""A sweep of a real S3's bucket with versions: a page and more of orphans go, everything else stays."""

import asyncio
import time
from typing import Any

from tests.stack.s3 import S3
from tests.unit.ledger.world import GROUP, MemoryLog, committed, retry
from workers.ledger.orphans import Kind
from workers.ledger.sweep import Terms, sweep
from workers.store.s3 import open_s3

ORPHANS = 1100  # more than a page of a list, and than a request deletes


async def test_orphans_go_from_a_real_bucket(s3: S3) -> None:
    bucket = s3.versioned_bucket()
    opened = await open_s3(bucket, endpoint=s3.endpoint, region=s3.region, allow_http=True)
    store: Any = opened  # the worlds of the unit tests name the store that they are made for
    head = (await committed(store, MemoryLog(), [5, 7]))[-1]
    kept = [stat.key async for stat in store.list("data/")]
    dead = [head.chain.data(GROUP, 5, 12, f"{n:016x}") for n in range(ORPHANS)]
    waiting = head.chain.data(GROUP, 12, 20, "a" * 16)
    for at in range(0, ORPHANS, 50):
        await asyncio.gather(*(store.put(key, b"sealed") for key in dead[at : at + 50]))
    await store.put(waiting, b"sealed")

    now = time.time_ns() // 1_000_000
    dry = await sweep(store, store, retry(), now, Terms(grace=3600))
    assert dry.kinds == {Kind.LISTED: 2, Kind.ORPHAN: ORPHANS, Kind.PENDING: 1}
    assert dry.due == 0, "they are young, by the server's own clock"
    found = await sweep(store, store, retry(), now + 3_600_000, Terms(delete=True, grace=3000))
    assert (found.swept, found.refused) == (ORPHANS, {})
    assert {stat.key async for stat in store.list("data/")} == {*kept, waiting}
    markers = [version async for version in store.versions(dead[0])]
    assert sorted(version.delete_marker for version in markers) == [False, True]
    await store.close()
