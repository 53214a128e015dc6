"""Amazon's client in an environment of its own."""

from pathlib import Path

import pytest

from tests.integration.sealing import environment


@pytest.fixture(scope="session")
def official_python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of that environment."""
    return environment.official_python(Path(request.config.rootpath))
