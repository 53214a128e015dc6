"""The quarantine's suite on a real S3."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.quarantine.suite import QuarantineSuite
from tests.stack.s3 import S3
from workers.store.port import Store
from workers.store.s3 import open_s3


class TestQuarantineOnS3(QuarantineSuite):
    @pytest.fixture
    async def store(self, s3: S3) -> AsyncIterator[Store]:
        store = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
        yield store
        await store.close()
