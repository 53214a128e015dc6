"""Readers of the key service over buckets in memory."""

from collections.abc import Sequence

import pytest

from tests.contract.keystore.readers import ReadersContract
from workers.store.memory import MemoryStore
from workers.store.port import Store


class TestInMemory(ReadersContract):
    @pytest.fixture(params=["one", "two versioned"])
    def stores(self, request: pytest.FixtureRequest) -> Sequence[Store]:
        if request.param == "one":
            return [MemoryStore("memory")]
        return [MemoryStore(name, versioned=True) for name in ("first", "second")]
