"""The policy chains' promises over a real S3-protocol server."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.policy.suite import PolicyContract
from tests.stack.s3 import S3
from workers.store.port import Store
from workers.store.s3 import open_s3


class TestPolicyOnS3(PolicyContract):
    races = 24

    @pytest.fixture
    async def store(self, s3: S3) -> AsyncIterator[Store]:
        store = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region)
        yield store
        await store.close()
