"""The promises of root keys in files, and of root keys in a KMS that is in memory."""

from pathlib import Path

import pytest

from tests.contract.roots.fake_kms import FakeKms, arn
from tests.contract.roots.suite import Pair, RootContract
from workers.sealing.kms import KmsRoot
from workers.sealing.root import FileRoot


class TestFile(RootContract):
    @pytest.fixture
    def pair(self, tmp_path: Path) -> Pair:
        return FileRoot.create(tmp_path / "one.key"), FileRoot.create(tmp_path / "two.key")


class TestKmsInMemory(RootContract):
    @pytest.fixture
    def pair(self) -> Pair:
        kms = FakeKms(arn("one"), arn("two"))
        return KmsRoot(kms, arn("one")), KmsRoot(kms, arn("two"))


class TestOneOfEach(RootContract):
    """A key in KMS, and one in a file beside it."""

    @pytest.fixture
    def pair(self, tmp_path: Path) -> Pair:
        return KmsRoot(FakeKms(arn("one")), arn("one")), FileRoot.create(tmp_path / "two.key")
