"""A start that Faust cancels because its consumer thread could not start is a failure, no wish to stop."""

import asyncio
from typing import Any

import pytest

from tests.integration.stream.recorder import Recorder
from workers.errors import Fatal
from workers.stream import archive
from workers.stream.archive import ArchiveStream
from workers.stream.connection import KafkaConnection

UNREACHED = Fatal("the consumer thread met no broker", remedy="Start one")


class CancelledApp:
    """Starts as a Faust app whose consumer thread died; `reason` is what it has told by then."""

    def __init__(self, reason: BaseException | None) -> None:
        self.reason = reason
        self.crashed, self.crash_reason = False, reason

    async def start(self) -> None:
        self.crashed = self.reason is not None
        raise asyncio.CancelledError

    async def crash(self, reason: BaseException) -> None:
        """As mode has it: the first reason stays."""
        if not self.crashed:
            self.crashed, self.crash_reason = True, reason

    async def wait_until_stopped(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        return


class AnyLog:
    def __init__(self, connection: KafkaConnection) -> None:
        pass

    async def topic_ids(self, topics: list[str]) -> dict[str, str]:
        return dict.fromkeys(topics, "id")

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("reason", "said"), [(UNREACHED, "the consumer thread met no broker"), (None, "was cancelled")]
)
async def test_a_cancelled_start_raises_what_it_failed_of(
    reason: BaseException | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def app(*_: Any) -> CancelledApp:
        return CancelledApp(reason)

    monkeypatch.setattr(archive, "faust_app", app)
    monkeypatch.setattr(archive, "Log", AnyLog)
    stream = ArchiveStream(KafkaConnection("127.0.0.1:1"), "t", "g", Recorder())
    with pytest.raises(Fatal, match=said):
        await stream.run()
