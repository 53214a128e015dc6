"""Declared holds: nothing moves, nothing is wrong with this worker, and it says why."""

import time
from collections import Counter
from collections.abc import Callable

import structlog

from workers.observe import metrics

log = structlog.get_logger()

SAY_AGAIN = 60.0  # seconds


class Holds:
    """A hold lasts from its declaration to its release, however long an attempt in between takes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._said: dict[str, float] = {}
        self._measured = clock()

    def declare(self, cause: str, why: str) -> Callable[[], None]:
        """Returns its release. `cause` is one of metrics.HOLD_CAUSES; `why` is for people."""
        metrics.HOLDS.labels(cause=cause).inc()
        now = self._clock()
        if now - self._said.get(cause, float("-inf")) >= SAY_AGAIN:
            self._said[cause] = now
            log.warning("holding", cause=cause, why=why)
        self._held[cause] += 1
        released = False

        def release() -> None:
            nonlocal released
            if not released:
                released = True
                self._held[cause] -= 1

        return release

    def active(self) -> frozenset[str]:
        return frozenset(cause for cause, count in self._held.items() if count > 0)

    def measure(self) -> None:
        """Brings the metrics up to now. About once a second."""
        now = self._clock()
        active = self.active()
        for cause in metrics.HOLD_CAUSES:
            metrics.HOLDING.labels(cause=cause).set(cause in active)
            if cause in active:
                metrics.HOLD_SECONDS.labels(cause=cause).inc(now - self._measured)
        self._measured = now
