"""The keystore of these tests, and what is logged of it."""

import io
import logging
from collections.abc import Iterator

import pytest

from tests.unit.keyservice.world import World
from workers.observe import logs
from workers.settings import LogFormat, LogLevel


@pytest.fixture
async def world() -> World:
    return await World().begin()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged, at a level that lets only errors through: audit lines are written at any."""
    stream = io.StringIO()
    before = logging.getLogger().handlers[:]
    logs.configure(LogFormat.JSON, LogLevel.ERROR, stream=stream)
    yield stream
    logging.getLogger().handlers[:] = before
