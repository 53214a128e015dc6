"""Amazon's client in an environment of its own, and a key service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.sealing import environment
from tests.stack.moto_kms import MotoKms, moto_kms


@pytest.fixture(scope="session")
def official_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of that environment."""
    return environment.official_python(Path(request.config.rootpath))


@pytest.fixture(scope="session")
def kms() -> Iterator[MotoKms]:
    """A KMS over the wire, shared by the whole run."""
    with moto_kms() as server:
        yield server
