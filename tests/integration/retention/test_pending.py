"""A disposal that is over may begin again, also on a server that takes a delete marker for an object."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec
import pytest

from tests.stack.s3 import S3
from tests.unit.ledger.world import retry
from tests.unit.retention.test_pending import BEGUN, UNIT, to
from workers.retention import names, pending
from workers.retention.pending import Moved, Step
from workers.store.port import Store
from workers.store.s3 import open_s3


@pytest.fixture
async def store(s3: S3) -> AsyncIterator[Store]:
    store = await open_s3(s3.versioned_bucket(), endpoint=s3.endpoint, region=s3.region)
    yield store
    await store.close()


async def test_a_disposal_that_is_over_begins_again(store: Store) -> None:
    for _ in range(2):
        with suppress(Moved):  # as an agent's next plan does it
            await pending.begin(store, BEGUN, retry())
        stood = await pending.begin(store, BEGUN, retry())
        assert stood.pending == BEGUN
        stood = await pending.step(store, stood, to(Step.DISABLED), retry())
        await pending.end(store, UNIT, retry())
        assert await pending.read(store, UNIT, retry()) is None


async def test_a_record_that_stands_is_not_taken_for_one_that_is_over(store: Store) -> None:
    await pending.begin(store, BEGUN, retry())
    assert await pending._cleared(store, names.pending(UNIT), retry())
    assert await pending.read(store, UNIT, retry()) is not None


async def test_of_two_that_begin_again_one_does_and_both_see_it(store: Store) -> None:
    """The slower one finds the way cleared, and a record that stands: nobody has deleted anything."""

    async def begin(attempt: str) -> str:
        while True:
            with suppress(Moved):
                return (
                    await pending.begin(store, msgspec.structs.replace(BEGUN, attempt=attempt), retry())
                ).pending.attempt

    for _ in range(10):
        one, other = await asyncio.gather(begin("one"), begin("other"))
        assert one == other
        await pending.end(store, UNIT, retry())
