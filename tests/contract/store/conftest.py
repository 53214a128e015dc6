"""Each test of this folder runs on the in-memory twin and on a real server."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.stack.s3 import S3
from workers.store.memory import MemoryStore
from workers.store.port import Store
from workers.store.s3 import open_s3

BACKENDS = ["memory", pytest.param("s3", marks=pytest.mark.integration)]


async def _opened(server: S3, bucket: Callable[[], str]) -> Store:
    return await open_s3(bucket(), endpoint=server.endpoint, region=server.region)


@pytest.fixture(params=BACKENDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty bucket without versions."""
    if request.param == "memory":
        yield MemoryStore()
        return
    server: S3 = request.getfixturevalue("s3")
    store = await _opened(server, server.bucket)
    yield store
    await store.close()


@pytest.fixture(params=BACKENDS)
async def versioned(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty bucket that keeps versions."""
    if request.param == "memory":
        yield MemoryStore(versioned=True)
        return
    server: S3 = request.getfixturevalue("s3")
    store = await _opened(server, server.versioned_bucket)
    yield store
    await store.close()
