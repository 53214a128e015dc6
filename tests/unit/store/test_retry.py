"""A retry goes on as long as its bounds allow, says why it waits, and hides no other error."""

import random
from collections.abc import Callable, Sequence

import pytest

from workers.errors import Fatal, Poison, Retryable, StrongroomError
from workers.store.port import Conflict, Denied, NotFound, PreconditionFailed, Unavailable
from workers.store.retry import Retry


class World:
    """Time that passes only by sleeping, and an operation that fails as told."""

    def __init__(self, failures: Sequence[StrongroomError], takes: float = 0.0) -> None:
        self._failures, self._takes = list(failures), takes
        self.now = 0.0
        self.slept: list[float] = []
        self.told: list[str] = []
        self.attempts = 0
        self.held = 0

    def hold(self, cause: str, why: str) -> Callable[[], None]:
        self.told.append(cause)
        self.held += 1
        assert self.held == 1, "a call holds once at a time"

        def release() -> None:
            self.held -= 1

        return release

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def operation(self) -> str:
        self.attempts += 1
        self.now += self._takes
        if self._failures:
            raise self._failures.pop(0)
        return "done"

    def retry(self, *, attempts: int | None = None, deadline: float | None = None, seed: int = 1) -> Retry:
        return Retry(
            attempts=attempts,
            deadline=deadline,
            hold=self.hold,
            sleep=self.sleep,
            clock=lambda: self.now,
            rng=random.Random(seed),
        )


async def test_success_neither_waits_nor_tells() -> None:
    world = World([])
    assert await world.retry().call(world.operation) == "done"
    assert (world.slept, world.told, world.attempts) == ([], [], 1)


async def test_each_failure_is_told_by_its_cause() -> None:
    world = World([Denied("d"), Conflict("c"), Unavailable("u"), Retryable("some key service is down")])
    assert await world.retry().call(world.operation) == "done"
    assert world.told == ["denied", "conflict", "unavailable", "unavailable"]
    assert world.held == 0


async def test_the_hold_lasts_through_the_attempts_between() -> None:
    world = World([Unavailable("down")] * 3)
    held: list[int] = []

    async def operation() -> str:
        held.append(world.held)
        return await world.operation()

    await world.retry().call(operation)
    assert held == [0, 1, 1, 1]


async def test_a_hold_ends_with_the_call_that_gives_up() -> None:
    world = World([Unavailable("down"), Fatal("no use")])
    with pytest.raises(Fatal):
        await world.retry().call(world.operation)
    assert world.held == 0


async def test_without_bounds_it_holds_on() -> None:
    world = World([Unavailable("down")] * 2000)
    assert await world.retry().call(world.operation) == "done"
    assert world.attempts == 2001
    assert max(world.slept) <= 20.0


async def test_waits_are_drawn_below_a_doubling_cap() -> None:
    world = World([Unavailable("down")] * 12)
    await world.retry().call(world.operation)
    caps = [min(20.0, 0.1 * 2**n) for n in range(12)]
    assert all(0 <= wait <= cap for wait, cap in zip(world.slept, caps, strict=True))
    assert any(wait < cap / 2 for wait, cap in zip(world.slept, caps, strict=True))
    assert max(world.slept) > 5.0


async def test_workers_with_other_seeds_come_back_at_other_times() -> None:
    first, second, again = (World([Unavailable("down")] * 5) for _ in range(3))
    await first.retry(seed=1).call(first.operation)
    await second.retry(seed=2).call(second.operation)
    await again.retry(seed=1).call(again.operation)
    assert first.slept == again.slept != second.slept


async def test_the_last_failure_is_raised_after_so_many_attempts() -> None:
    world = World([Unavailable("first"), Unavailable("second"), Conflict("third")])
    with pytest.raises(Conflict, match="third"):
        await world.retry(attempts=3).call(world.operation)
    assert world.attempts == 3
    assert len(world.slept) == 2
    assert world.told == ["unavailable", "unavailable", "conflict"]


async def test_no_wait_begins_that_would_pass_the_deadline() -> None:
    world = World([Unavailable("down")] * 1000, takes=0.5)
    with pytest.raises(Unavailable):
        await world.retry(deadline=10.0).call(world.operation)
    assert world.now - 0.5 <= 10.0
    assert world.attempts > 3


@pytest.mark.parametrize("error", [NotFound, PreconditionFailed, Fatal, Poison])
async def test_what_no_retry_mends_is_raised_at_once(error: type[StrongroomError]) -> None:
    world = World([error("no")])
    with pytest.raises(error):
        await world.retry().call(world.operation)
    assert (world.attempts, world.told) == (1, [])
