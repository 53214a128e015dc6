"""What the judge and the retain role call waiting, ready and a stand-still."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from workers.errors import Fatal
from workers.observe import metrics
from workers.observe.health import Steps
from workers.observe.holds import Holds
from workers.roles import judge, loop_watch, retain
from workers.roles.judge_owner import JudgeOwner
from workers.roles.loop_watch import LoopWatch
from workers.roles.retain_tasks import TaskOwner
from workers.stream.archive import ArchiveStream


@dataclass
class Stream:
    assigned: bool = True
    ends: dict[int, tuple[int, int]] = field(default_factory=dict)

    def lag(self) -> dict[int, tuple[int, int]]:
        return self.ends


@dataclass
class Owner:
    busy: bool = False
    planned: bool = False


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch, "TICK", 0.01)


def judging(owner: Owner, stream: Stream, holds: Holds) -> LoopWatch:
    known = cast(JudgeOwner, owner), cast(ArchiveStream, stream)
    return judge.Watch(*known, holds, Steps(), 0.05)


def retaining(owner: Owner, stream: Stream, holds: Holds) -> LoopWatch:
    known = cast(TaskOwner, owner), cast(ArchiveStream, stream)
    return retain.Watch(*known, holds, Steps(), 0.05)


async def still_runs(watch: LoopWatch) -> bool:
    """After many times what it may stand still."""
    running = asyncio.create_task(watch.run())
    await asyncio.wait([running], timeout=0.5)
    runs = not running.done()
    running.cancel()
    await asyncio.wait([running])
    return runs


async def test_a_judge_with_observations_waiting_that_does_nothing_ends() -> None:
    watch = judging(Owner(), Stream(ends={0: (10, 60), 1: (5, 5)}), Holds())
    with pytest.raises(Fatal, match="50 offsets and 0 flushes waited") as ended:
        async with asyncio.timeout(10):
            await watch.run()
    assert "newest snapshot" in ended.value.remedy
    assert metrics.REGISTRY.get_sample_value("strongroom_lag_records") == 50


async def test_a_judge_without_an_assignment_ends_too() -> None:
    watch = judging(Owner(), Stream(assigned=False), Holds())
    assert not watch.readyz().well
    with pytest.raises(Fatal, match="an assignment waited"):
        async with asyncio.timeout(10):
            await watch.run()


async def test_a_plan_that_stands_still_ends_the_worker_that_makes_it() -> None:
    watch = retaining(Owner(busy=True), Stream(), Holds())
    with pytest.raises(Fatal, match="a plan or a disposal stands still"):
        async with asyncio.timeout(10):
            await watch.run()


@pytest.mark.parametrize("watching", [judging, retaining])
async def test_a_declared_hold_ends_none(watching: Callable[[Owner, Stream, Holds], LoopWatch]) -> None:
    holds = Holds()
    holds.declare("unavailable", "the bucket is away")
    assert await still_runs(watching(Owner(busy=True), Stream(), holds))


async def test_tasks_that_wait_at_others_end_no_worker_of_retention() -> None:
    """Its lag and its assignment are not its work: only a plan or a disposal is."""
    assert await still_runs(retaining(Owner(), Stream(assigned=False, ends={0: (0, 99)}), Holds()))


def test_a_worker_of_retention_is_ready_once_it_has_planned() -> None:
    owner, stream = Owner(), Stream()
    watch = retaining(owner, stream, Holds())
    assert not watch.readyz().well
    owner.planned = True
    assert watch.readyz().well
    stream.assigned = False
    assert not watch.readyz().well


def test_a_judge_says_what_it_does() -> None:
    owner = Owner()
    watch = judging(owner, Stream(), Holds())
    assert watch.readyz().well
    assert watch.livez() == (True, "waiting for observations")
    owner.busy = True
    assert watch.livez() == (True, "folding")
