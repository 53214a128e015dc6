"""The steward: a dry run unless told, a brake that is heard, a pass that hangs ends it, holds don't."""

import asyncio
from collections.abc import Callable

import pytest
import structlog

from tests.unit.ledger.test_sweep import HOUR, WRITTEN, left, with_orphans
from tests.unit.ledger.world import retry
from workers.errors import Fatal
from workers.ledger.orphans import Kind
from workers.ledger.sweep import Brake, Terms
from workers.observe import metrics
from workers.observe.health import Steps
from workers.observe.holds import Holds
from workers.roles import loop_watch as module
from workers.roles.first_of import first_of
from workers.roles.steward import Steward, Watch, terms
from workers.settings import Settings
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.retry import Retry


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TICK", 0.01)


def steward_of(
    store: MemoryStore,
    given: Terms,
    *,
    tries: Retry | None = None,
    steps: Steps | None = None,
    interval: float = 0.001,
) -> Steward:
    tries, steps = tries or retry(), steps or Steps()
    return Steward(store, store, tries, given, interval, steps.step, lambda: WRITTEN + HOUR)


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


class Looks:
    """A clock that goes on by a second a look, so that a slow machine changes nothing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> float:
        self.count += 1
        return float(self.count)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 # a metric tells nobody that it changed
            await asyncio.sleep(0.001)


async def test_it_deletes_nothing_unless_told_to() -> None:
    assert terms(Settings()) == Terms(delete=False, grace=3600, brake=Brake(0.1, 100))
    store, keys = await with_orphans(3)
    await steward_of(store, terms(Settings())).sweep()
    assert await left(store) >= {*keys}
    assert value("strongroom_sweep_objects", kind="orphan") == value("strongroom_sweep_due") == 3
    assert value("strongroom_sweep_objects", kind="listed") == 2
    assert value("strongroom_sweep_bytes", kind="orphan") == 18
    assert value("strongroom_sweep_ended_seconds") == (WRITTEN + HOUR) / 1000


async def test_told_to_it_sweeps_and_counts() -> None:
    store, keys = await with_orphans(3)
    store.faults.add(Fault.KEPT, operation="delete", key=keys[0])
    names = ("strongroom_orphans_swept_total", "strongroom_orphans_swept_bytes_total")
    before = [value(name) for name in names] + [value("strongroom_orphans_refused_total")]
    with structlog.testing.capture_logs() as logs:
        await steward_of(store, Terms(delete=True)).sweep()
    after = [value(name) for name in names] + [value("strongroom_orphans_refused_total")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [2, 12, 1]
    assert {*keys} & await left(store) == {keys[0]}
    assert [each["key"] for each in logs if each["event"] == "sweep_refused"] == [keys[0]]


async def test_the_brake_is_heard_and_let_go() -> None:
    store, keys = await with_orphans(3)
    braking = steward_of(store, Terms(delete=True, brake=Brake(0.1, 2)))
    with structlog.testing.capture_logs() as logs:
        await braking.sweep()
    [said] = [each for each in logs if each["event"] == "sweep_braked"]
    assert (said["log_level"], said["due"], said["objects"]) == ("error", 3, 5)
    assert "strongroom orphans sweep --yes" in said["remedy"]
    assert value("strongroom_sweep_braked") == 1
    await store.delete(keys)
    await braking.sweep()
    assert value("strongroom_sweep_braked") == 0


async def test_what_is_in_doubt_is_said() -> None:
    store, _ = await with_orphans(1)
    await store.put("data/what", b"")
    with structlog.testing.capture_logs() as logs:
        await steward_of(store, Terms()).sweep()
    assert [each["key"] for each in logs if each["event"] == "sweep_in_doubt"] == ["data/what"]
    assert value("strongroom_sweep_objects", kind=Kind.STRANGE) == 1


async def test_passes_follow_each_other_until_it_is_stopped() -> None:
    store, keys = await with_orphans(2)
    steward = steward_of(store, Terms(delete=True))
    watch = Watch(steward, Holds(), Steps(), 60)
    assert not watch.readyz().well
    running = asyncio.create_task(steward.run())
    await until(lambda: store.requests["delete"] == 1)
    assert watch.readyz().well
    assert watch.livez().well
    again = keys[0].replace(f"-{0:016x}.", f"-{9:016x}.")
    await store.put(again, b"another crash")
    await until(lambda: store.requests["delete"] == 2)
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()


async def test_a_pass_that_hangs_ends_the_worker() -> None:
    store, _ = await with_orphans(2)
    steps = Steps()
    steward = steward_of(store, Terms(), steps=steps)
    watch = Watch(steward, Holds(), steps, 2, Looks())
    store.faults.add(Fault.HELD, operation="get")
    with pytest.raises(Fatal, match="stands still"):
        async with asyncio.timeout(10):
            await first_of(steward.run, watch.run)


async def test_a_bucket_that_is_away_is_a_hold_and_ends_nothing() -> None:
    store, keys = await with_orphans(2)
    holds, steps = Holds(), Steps()
    tries = Retry(hold=holds.declare, base=0.05, cap=0.05)
    steward = steward_of(store, Terms(delete=True), tries=tries, steps=steps, interval=60)
    clock = Looks()
    watch = Watch(steward, holds, steps, 2, clock)
    away = store.faults.add(Fault.UNAVAILABLE, times=None)
    running = asyncio.create_task(first_of(steward.run, watch.run))
    await until(lambda: clock.count > 5)  # far longer than it may stand still
    assert not running.done()
    assert not watch.readyz().well
    assert value("strongroom_holding", cause="unavailable") == 1
    store.faults.remove(away)
    await until(lambda: store.requests["delete"] == 1 and not steward.busy)
    assert not {*keys} & await left(store)
    looked = clock.count
    await until(lambda: clock.count > looked + 5)  # nor is the wait for the next pass a stand-still
    assert not running.done(), running.exception()
    running.cancel()
    await asyncio.wait([running])
