"""Checkpoints on a real S3: three requests to the head of a long chain, and a cut chain is found."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

from tests.stack.s3 import S3
from tests.unit.ledger.audited import archived
from tests.unit.ledger.signing import SIGNER, checkpointed, newest
from tests.unit.ledger.world import MemoryLog, committed, retry
from workers.ledger.head import PAGE, read_head
from workers.ledger.verify_tails import Sources
from workers.store.port import Got, Stat, Store
from workers.store.s3 import open_s3

ENTRIES = 40


class Counted:
    """A bucket as those see it who look for a head, and how often they asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.name = store.name
        self.requests: Counter[str] = Counter()

    async def get(self, key: str) -> Got:
        self.requests["get"] += 1
        return await self._store.get(key)

    async def list(self, prefix: str, *, after: str = "", limit: int) -> AsyncIterator[Stat]:
        assert limit <= PAGE, "that is more than one request"
        self.requests["list"] += 1
        async for stat in self._store.list(prefix, after=after, limit=limit):
            yield stat


async def test_the_head_of_a_long_chain_is_three_requests_behind_its_genesis(s3: S3) -> None:
    store: Any = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
    log = MemoryLog()
    heads = await committed(store, log, [1] * ENTRIES)
    counted: Any = Counted(store)
    assert await read_head(counted, heads[0].chain, None, retry()) == heads[-1]
    searched = counted.requests.total()
    assert (await checkpointed(store, every=10)).written == ENTRIES / 10
    heads = await committed(store, log, [1, 1])
    for hint, expected in ((None, {"get": 2, "list": 2}), (heads[-1].hint, {"get": 2, "list": 1})):
        counted = Counted(store)
        assert await read_head(counted, heads[0].chain, hint, retry()) == heads[-1]
        assert counted.requests == expected
    assert searched > sum(expected.values())
    await store.close()


async def test_a_chain_that_was_cut_is_found_by_the_second_bucket(s3: S3) -> None:
    store, second = [
        await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True) for _ in range(2)
    ]
    archive = await archived(store)
    assert (await checkpointed(store, second)).refused == {}
    assert (await newest(second, archive.chain)).checkpoint.first == archive.heads[-2].next
    sources = Sources([second], SIGNER.trust)
    report = await archive.audited(checkpoints=sources)
    assert (report.clean, report.checkpoints) == (True, 1)
    objects = (await archive.entry(-1)).objects
    checkpoints = [stat.key async for stat in store.list("checkpoints/")]
    await store.delete([*(each.key for each in objects), archive.key(-1), *checkpoints])
    assert (await archive.audited()).clean
    assert (await archive.audited(checkpoints=sources)).kinds == {"cut_tail": 1}
    assert list((await checkpointed(store, second)).refused) == [archive.chain.prefix]
    for each in (store, second):
        await each.close()
