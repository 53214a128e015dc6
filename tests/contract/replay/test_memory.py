"""The replay's suite on the store in memory."""

import pytest

from tests.contract.replay.suite import ReplaySuite
from workers.store.memory import MemoryStore
from workers.store.port import Store


class TestReplayInMemory(ReplaySuite):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()
