"""How long a shredded key is still used: never longer than a cache's life, which is what is published.

Real time on a real S3, as the promise is one of time: a reader that holds the key asks the keystore only, and
so does a flush. Both cases are measured and printed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.contract.keystore.world import NEIGHBOUR, NOW, ROOT, UNIT, fast, patient, replicas
from tests.stack.fault_proxy import FaultProxy
from tests.stack.s3 import S3
from tests.stack.servers import free_ports
from workers.sealing.keystore import Keystore
from workers.sealing.refusals import KeyExpired, KeyShredded
from workers.sealing.roots import Roots
from workers.sealing.rows import unit_row
from workers.sealing.unit_key import UnitKey
from workers.sealing.withdraw import tombstone
from workers.store.port import Store, Unavailable
from workers.store.s3 import open_s3

LIFE = 3.0  # seconds
pytestmark = pytest.mark.integration


@pytest.fixture
async def opened() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def store_on(opened: AsyncExitStack, endpoint: str, bucket: str, region: str) -> Store:
    store = await open_s3(bucket, endpoint=endpoint, region=region)
    opened.push_async_callback(store.close)
    return store


async def used_for(keystore: Keystore, held: UnitKey) -> tuple[float, float]:
    """Seconds from now on in which the keystore still gave the key, and the held one still sealed."""
    began, given, sealed = time.monotonic(), 0.0, 0.0
    while time.monotonic() - began < LIFE + 2:
        at = time.monotonic() - began
        try:
            await keystore.unit_key(UNIT, create=True)
            given = at
        except (KeyShredded, Unavailable):
            pass
        try:
            held.seal(b"plain", "data/one")
            sealed = at
        except KeyExpired:
            pass
        await asyncio.sleep(0.02)
    return given, sealed


async def test_who_reaches_the_bucket_lets_go_at_the_next_look(s3: S3, opened: AsyncExitStack) -> None:
    bucket = s3.bucket()
    store, other = [await store_on(opened, s3.endpoint, bucket, s3.region) for _ in range(2)]
    keystore = Keystore([store], Roots([ROOT]), life=LIFE)
    held = await patient(keystore, UNIT)
    neighbour = await patient(keystore, NEIGHBOUR)
    await tombstone(replicas([other]), [unit_row(UNIT)], NOW)
    given, sealed = await used_for(keystore, held)
    print(f"given for {given:.2f} s, sealed for {sealed:.2f} s, of a life of {LIFE} s")
    assert max(given, sealed) < LIFE / 5 + 1  # it looks every fifth of its life
    await keystore.poll()
    neighbour.seal(b"plain", "data/two")


async def test_who_does_not_reach_it_lets_go_within_its_life(s3: S3, opened: AsyncExitStack) -> None:
    bucket = s3.bucket()
    _, _, port = s3.endpoint.rpartition(":")
    other = await store_on(opened, s3.endpoint, bucket, s3.region)
    [own] = free_ports(1)
    with FaultProxy(own, int(port)) as proxy:
        store = await store_on(opened, f"http://{proxy.address}", bucket, s3.region)
        keystore = Keystore([store], Roots([ROOT]), life=LIFE)
        held = await fast().call(lambda: keystore.unit_key(UNIT, create=True))
        proxy.cut()
        await tombstone(replicas([other]), [unit_row(UNIT)], NOW)
        given, sealed = await used_for(keystore, held)
    print(f"given for {given:.2f} s, sealed for {sealed:.2f} s, of a life of {LIFE} s")
    assert 1 < sealed <= LIFE
    assert given <= LIFE
