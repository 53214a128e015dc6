"""The steward's replay as a work of its own: it waits where something is away, and says why."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from workers.errors import Fatal, Retryable
from workers.ledger.replay import Pass
from workers.ledger.unit_entries import Became
from workers.observe import metrics
from workers.roles import replay as module
from workers.roles.replay import Replaying, can_replay, measure
from workers.settings import Settings


@dataclass
class World:
    """A replay whose passes are counted, a copy of policy, and what openings raise, one after the other."""

    failures: list[Exception] = field(default_factory=list)
    passes: int = 0
    is_stale: bool = False
    held: Counter[str] = field(default_factory=Counter)
    holding: int = 0

    async def run_pass(self) -> Pass:
        self.passes += 1
        return Pass()

    def stale(self) -> bool:
        return self.is_stale

    async def follow(self) -> None:
        await asyncio.Event().wait()

    def hold(self, cause: str, why: str) -> Callable[[], None]:
        self.held[cause] += 1
        self.holding += 1

        def release() -> None:
            self.holding -= 1

        return release

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Any]:
        if self.failures:
            raise self.failures.pop(0)
        yield self, self


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.001)


async def running(world: World, until: Callable[[], bool]) -> None:
    replaying = Replaying(world.opened, 0.001, world.hold, lambda: 1)
    work = asyncio.create_task(replaying.run())
    async with asyncio.timeout(20):
        while not until() and not work.done():  # noqa: ASYNC110 # nobody tells what `until` asks
            await asyncio.sleep(0.001)
    if not work.done():
        work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert world.holding == 0


async def test_what_is_away_is_waited_for_as_a_hold() -> None:
    world = World(failures=[Retryable("no Kafka"), Retryable("no keystore")])
    await running(world, lambda: world.passes >= 2)
    assert world.held == {"unavailable": 2}


async def test_a_copy_that_is_too_old_is_waited_for() -> None:
    world = World(is_stale=True)
    await running(world, lambda: world.held["policy_stale"] >= 2)
    assert world.passes == 0
    world.is_stale = False
    await running(world, lambda: world.passes >= 1)


async def test_what_a_person_must_mend_ends_it() -> None:
    with pytest.raises(Fatal, match="no such topic"):
        await running(World(failures=[Fatal("no such topic")]), lambda: False)


def test_without_a_root_key_it_says_that_it_replays_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with structlog.testing.capture_logs() as logs:
        assert not can_replay(Settings())
        monkeypatch.setenv("STRONGROOM_KMS_KEYS", "alias/strongroom")
        assert can_replay(Settings())
    assert [each["event"] for each in logs] == ["replay_off"]


def test_a_pass_is_measured() -> None:
    labels = {"disposition": "accepted", "reason": "accepted"}
    name = "strongroom_replayed_records_total"
    before = metrics.REGISTRY.get_sample_value(name, labels) or 0
    found = Pass(objects=3, records=5, bytes=70, due=1, replayed=Counter({(Became.ACCEPTED, "accepted"): 4}))
    measure(found, 9000)
    assert (metrics.REGISTRY.get_sample_value(name, labels) or 0) - before == 4
    values = (
        "unclaimed_objects",
        "unclaimed_records",
        "unclaimed_bytes",
        "replay_due",
        "replay_ended_seconds",
    )
    assert [metrics.REGISTRY.get_sample_value(f"strongroom_{value}") for value in values] == [3, 5, 70, 1, 9]
