"""Authorities: one that the clients of a test trust, and another."""

from pathlib import Path

import pytest

from tests.stack.authority import Authority


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one that clients trust, those for S3 by the variable that they all know."""
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.trust))
    return authority


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")
