"""Tells the fleet what policy this worker has applied: at once after a change, and as a heartbeat.

It never holds anything up: when Kafka does not take a report, the next one says the same and more.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

import structlog

from topics.policy_applied import Applied, PolicyApplied, codec
from workers.errors import StrongroomError
from workers.observe.roll_call import HEARTBEAT

log = structlog.get_logger()

PAUSE = 0.2  # seconds between two reports at least: many changes in a row are told in one
LAST_WORD = 2.0  # seconds for the tombstone; a worker that can't say it counts as silent


class Copy(Protocol):
    @property
    def changed(self) -> asyncio.Event:
        """Set when a record was applied."""

    def applied(self) -> tuple[Applied, ...]: ...

    def age(self) -> float:
        """Seconds."""


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> object: ...


class AppliedReports:
    """`worker` is this process's own name, `topic` has the fleet's prefix, `stale_after` is in seconds."""

    def __init__(
        self,
        copy: Copy,
        publisher: Publisher,
        topic: str,
        worker: str,
        stale_after: float,
        now: Callable[[], int],
    ) -> None:
        self._copy = copy
        self._publisher = publisher
        self._topic = topic
        self._worker = worker
        self._stale_after = stale_after
        self._now = now
        self._told = True  # whether Kafka took the last report

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._copy.changed.clear()
            await self._send(self.report())
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._copy.changed.wait(), HEARTBEAT - PAUSE)

    async def stop(self) -> None:
        """The worker decides nothing any more: nobody need wait for it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._send(None), LAST_WORD)

    def report(self) -> bytes:
        """What is applied now: a report never says more than the thread that decides has seen."""
        return codec.encode(
            PolicyApplied(
                worker=self._worker,
                at=self._now(),
                age_ms=int(self._copy.age() * 1000),
                stale_after_ms=int(self._stale_after * 1000),
                applied=self._copy.applied(),
            )
        )

    async def _send(self, value: bytes | None) -> None:
        try:
            await self._publisher.send_and_wait(self._topic, self._worker.encode(), value)
        except StrongroomError as error:
            if self._told:
                log.warning("policy_report_not_sent", error=error.message, remedy=error.remedy)
            self._told = False
        else:
            self._told = True
