"""The watch flushes what is due, tells how the worker is, and ends it when it stands still."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.unit.roles.world import World
from workers.errors import Fatal
from workers.observe.health import Steps
from workers.observe.holds import Holds
from workers.roles import watch
from workers.roles.watch import Watch


@dataclass
class Copy:
    """A policy copy that is always fresh."""

    readers: Mapping[str, Any] = field(default_factory=dict)

    def stale(self) -> bool:
        return False


@dataclass
class Stream:
    assigned: bool = True
    behind: int = 0
    hangs: float = 0.0
    mute: bool = False  # whoever leads the partition
    all_mute: bool = False

    def lag(self) -> dict[int, tuple[int, int]]:
        return {0: (0, self.behind)}

    def heard(self) -> dict[int, float]:
        return {0: 0.0 if self.mute else time.monotonic()}

    def silent(self) -> float:
        return 3600.0 if self.all_mute else 0.0

    def turned(self) -> float:
        return self.hangs


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "TICK", 0.01)


def watching(world: World, stream: Stream, *, timeout: float = 0.1, holds: Holds | None = None) -> Watch:
    copy: Any = Copy()
    return Watch(world.owner(), stream, copy, holds or Holds(), Steps(), timeout, 1 << 30)


async def ends(watch: Watch, within: float = 1.0) -> BaseException | None:
    """What ended it; None if nothing did."""
    task = asyncio.create_task(watch.run())
    await asyncio.wait({task}, timeout=within)
    if task.done():
        error = task.exception()
        return error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
    task.cancel()
    await asyncio.wait({task})
    return None


@pytest.mark.parametrize(
    "stream", [Stream(behind=1000), Stream(assigned=False), Stream(hangs=3600.0), Stream(mute=True)], ids=repr
)
async def test_a_worker_that_stands_still_is_ended(stream: Stream) -> None:
    error = await ends(watching(World(), stream))
    assert isinstance(error, Fatal)
    assert "no progress" in error.message


async def test_a_quiet_worker_is_left_alone_and_well() -> None:
    watch = watching(World(), Stream())
    assert await ends(watch, within=0.3) is None
    assert watch.livez().well
    assert watch.readyz().well


async def test_a_worker_that_holds_is_left_alone() -> None:
    holds = Holds()
    holds.declare("unavailable", "503")
    watch = watching(World(), Stream(behind=1000), holds=holds)
    assert await ends(watch, within=0.3) is None
    assert "holding" in watch.livez().reason


async def test_a_kafka_that_is_silent_altogether_is_a_declared_hold() -> None:
    holds, stream = Holds(), Stream(behind=1000, mute=True, all_mute=True)
    watch = watching(World(), stream, holds=holds)
    assert await ends(watch, within=0.3) is None
    assert holds.active() == {"kafka_silent"}
    stream.mute = stream.all_mute = False
    stream.behind = 0
    assert await ends(watch, within=0.1) is None
    assert holds.active() == frozenset()


async def test_a_frozen_fetch_ends_the_worker_with_a_last_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, drained = watching(World(), Stream(mute=True)), asyncio.Event()

    async def drain() -> None:
        drained.set()

    monkeypatch.setattr(watch._owner, "drain", drain)
    error = await ends(watch)
    assert isinstance(error, Fatal)
    assert "sent nothing of partitions [0]" in error.message
    assert drained.is_set()


async def test_a_watch_that_turns_no_more_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watching(World(), Stream())
    monkeypatch.setattr(watch, "BLIND", -1.0)
    assert not watched.livez().well


async def test_a_tick_that_hangs_does_not_blind_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = watching(World(), Stream(behind=1000))

    async def hangs() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(watch._owner, "tick", hangs)
    assert isinstance(await ends(watch), Fatal)
