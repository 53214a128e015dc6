"""The keystore's promises over one bucket and over two, in memory, with and without versions."""

from collections.abc import Sequence

import pytest

from tests.contract.keystore.suite import KeystoreContract
from workers.store.memory import MemoryStore
from workers.store.port import Store


class TestInMemory(KeystoreContract):
    @pytest.fixture(params=["one", "two", "two versioned"])
    def stores(self, request: pytest.FixtureRequest) -> Sequence[Store]:
        versioned = "versioned" in request.param
        names = ["memory"] if request.param == "one" else ["first", "second"]
        return [MemoryStore(name, versioned=versioned) for name in names]
