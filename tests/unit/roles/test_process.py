"""A role works until it is told to stop, and what stops it otherwise is raised."""

import asyncio
import os
import signal

import pytest

from workers.roles import process
from workers.settings import Settings


def test_a_signal_ends_the_work_and_nothing_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    async def work(settings: Settings) -> None:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()

    assert process.run(Settings(), work, stopped="told") == 0
    assert '"event": "told"' in capsys.readouterr().err


def test_what_stops_the_work_is_raised() -> None:
    async def work(settings: Settings) -> None:
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        process.run(Settings(), work, stopped="told")


@pytest.mark.parametrize("allowed", [True, False])
def test_clear_text_that_is_allowed_is_warned_of(capsys: pytest.CaptureFixture[str], allowed: bool) -> None:
    async def work(settings: Settings) -> None:
        """Nothing to do."""

    process.run(Settings(allow_clear_text=allowed), work, stopped="told")
    assert ('"event": "clear_text_allowed"' in capsys.readouterr().err) == allowed
