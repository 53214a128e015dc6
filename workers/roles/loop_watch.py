"""Watches a role that works on the event loop alone: measures holds, ends it where it stands still."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

from workers.errors import Fatal
from workers.observe.health import Steps, Verdict, Watchdog, Work
from workers.observe.holds import Holds

TICK = 0.5  # seconds


class Waiting(NamedTuple):
    """What of a role's `Work` the role alone knows."""

    busy: int  # works under way
    lag: int = 0  # offsets not yet fetched
    unassigned: bool = False


class LoopWatch(ABC):
    """Of each role: what it calls waiting, ready and a stand-still. `clock`: seconds, monotonic."""

    def __init__(
        self,
        holds: Holds,
        steps: Steps,
        progress_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._holds = holds
        self._steps = steps
        self._clock = clock
        self._watchdog = Watchdog(progress_timeout)

    @abstractmethod
    def readyz(self) -> Verdict: ...

    @abstractmethod
    def doing(self) -> str:
        """For people who ask whether it is alive."""

    @abstractmethod
    def waiting(self) -> Waiting:
        """Asked at each look: also measures what only the role can."""

    @abstractmethod
    def stands_still(self, reason: str) -> Fatal:
        """`reason`: what waited, and for how long."""

    def livez(self) -> Verdict:
        """That it is asked shows that the loop turns; `run` ends the process for anything else."""
        return Verdict(True, self.doing())

    async def run(self) -> None:
        """Until cancelled. Raises Fatal once work waits, nothing is done and no hold says why."""
        while True:
            await asyncio.sleep(TICK)
            self._holds.measure()
            waiting = self.waiting()
            work = Work(
                lag=waiting.lag,
                flushes=waiting.busy,
                unassigned=waiting.unassigned,
                holds=self._holds.active(),
                done=self._steps.done,
            )
            if not (verdict := self._watchdog.look(self._clock(), work)).well:
                raise self.stands_still(verdict.reason)
