"""The quarantine's suite on the store in memory."""

import pytest

from tests.contract.quarantine.suite import QuarantineSuite
from workers.store.memory import MemoryStore
from workers.store.port import Store


class TestQuarantineInMemory(QuarantineSuite):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()
