"""Declared holds: nothing moves, nothing is wrong with this worker, and it says why.

Whoever waits declares the cause again at each attempt; a cause that was not declared for a while is over.
"""

import time
from collections.abc import Callable

from workers.observe import metrics

FRESH = 15.0  # seconds; longer than any pause between two attempts


class Holds:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._declared: dict[str, float] = {}
        self._measured = clock()

    def declare(self, cause: str) -> None:
        """`cause` is one of metrics.HOLD_CAUSES."""
        self._declared[cause] = self._clock()
        metrics.HOLDS.labels(cause=cause).inc()

    def active(self) -> frozenset[str]:
        since = self._clock() - FRESH
        return frozenset(cause for cause, at in self._declared.items() if at >= since)

    def measure(self) -> None:
        """Brings the metrics up to now. About once a second."""
        now = self._clock()
        active = self.active()
        for cause in metrics.HOLD_CAUSES:
            metrics.HOLDING.labels(cause=cause).set(cause in active)
            if cause in active:
                metrics.HOLD_SECONDS.labels(cause=cause).inc(now - self._measured)
        self._measured = now
