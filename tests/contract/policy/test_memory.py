"""The policy chains' promises over the in-memory store."""

import pytest

from tests.contract.policy.suite import PolicyContract
from workers.store.memory import MemoryStore
from workers.store.port import Store


class TestPolicyInMemory(PolicyContract):
    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore()
