"""Tries again what failed for a reason that may pass, as a declared hold: somebody is told why it waits."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from workers.errors import Retryable
from workers.store.port import Conflict, Denied

T = TypeVar("T")

DENIED, CONFLICT, UNAVAILABLE = "denied", "conflict", "unavailable"


def cause_of(error: Retryable) -> str:
    """`denied`: a person may have to act; `conflict`: another writer; `unavailable`: wait."""
    match error:
        case Denied():
            return DENIED
        case Conflict():
            return CONFLICT
        case _:
            return UNAVAILABLE


# cause, and why in words → what ends the hold
Hold = Callable[[str, str], Callable[[], None]]


def _unwatched(cause: str, why: str) -> Callable[[], None]:
    """A hold that nobody watches."""
    return lambda: None


@dataclass(frozen=True, slots=True)
class Retry:
    """Exponential backoff with full jitter: a wait is drawn from [0, min(cap, base · 2ⁿ)], so that workers
    which failed together do not come back together.

    Without `attempts` and `deadline` it never gives up: that is a hold, which the batch behind it waits out.
    Neither interrupts an attempt that is under way; a store's own time-outs end it.
    """

    attempts: int | None = None  # in all, the first included
    deadline: float | None = None  # seconds from the start of `call`; no wait begins that would end after it
    hold: Hold = _unwatched  # told each time an attempt failed; the hold ends with the next, or with `call`
    base: float = 0.1  # seconds
    cap: float = 20.0  # seconds
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    rng: random.Random = field(default_factory=random.Random)

    async def call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """What `operation` returns. Raises its Retryable once the bounds are met, any other error at once."""
        begun = self.clock()
        attempt = 1
        with ExitStack() as held:
            while True:
                try:
                    return await operation()
                except Retryable as error:
                    held.close()
                    held.callback(self.hold(cause_of(error), error.message))
                    wait = self.wait(attempt)
                    if self._is_over(attempt, self.clock() - begun + wait):
                        raise
                await self.sleep(wait)
                attempt += 1

    def wait(self, attempt: int) -> float:
        """Seconds before the attempt that follows the `attempt`-th."""
        return self.rng.uniform(0, min(self.cap, self.base * 2 ** min(attempt - 1, 30)))

    def _is_over(self, attempt: int, elapsed: float) -> bool:
        if self.attempts is not None and attempt >= self.attempts:
            return True
        return self.deadline is not None and elapsed > self.deadline
