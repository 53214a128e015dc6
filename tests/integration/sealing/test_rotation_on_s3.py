"""The rotation of keys, and readers of the key service, over two buckets with versions of a real S3."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from tests.contract.keystore.readers import ReadersContract
from tests.contract.keystore.rotation import RotationContract
from tests.stack.s3 import S3
from workers.store.port import Store
from workers.store.s3 import open_s3


class TestOnS3(RotationContract, ReadersContract):
    @pytest.fixture
    async def stores(self, s3: S3) -> AsyncIterator[Sequence[Store]]:
        async with AsyncExitStack() as opened:
            stores = []
            for _ in range(2):
                stores.append(await open_s3(s3.versioned_bucket(), endpoint=s3.endpoint, region=s3.region))
                opened.push_async_callback(stores[-1].close)
            yield stores
