"""Watches the archive: has flushed what is due, measures, and ends a worker that makes no progress."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from workers.errors import Fatal
from workers.observe import metrics
from workers.observe.health import Verdict, progress, readiness
from workers.observe.holds import Holds
from workers.roles.owner import Owner
from workers.roles.policy_copy import PolicyCopy

TICK = 0.5  # seconds


class Stream(Protocol):
    @property
    def assigned(self) -> bool: ...

    def lag(self) -> dict[int, tuple[int, int]]:
        """Partition → (position, last stable offset)."""


class Watch:
    def __init__(
        self,
        owner: Owner,
        stream: Stream,
        copy: PolicyCopy,
        holds: Holds,
        progress_timeout: float,
        now: Callable[[], int],
    ) -> None:
        self._owner = owner
        self._stream = stream
        self._copy = copy
        self._holds = holds
        self._progress_timeout = progress_timeout
        self._now = now

    async def run(self) -> None:
        """Until cancelled. Raises Fatal if records wait and nothing moves."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            metrics.LOOP_LAG_SECONDS.set(loop.time() - due)
            await self._owner.tick()
            self._holds.measure()
            self._measure()
            verdict = self.livez()
            if not verdict.well:
                raise Fatal(
                    f"no progress: {verdict.reason}",
                    remedy="The worker exits and another takes its partitions; its last log lines say why",
                )

    def livez(self) -> Verdict:
        """Asks neither Kafka nor S3."""
        return progress(
            self._now(),
            self._owner.progressed,
            lag=self._lag(),
            flushes=sum(partition.flying for partition in self._owner.partitions.values()),
            holds=self._holds.active(),
            timeout=self._progress_timeout,
        )

    def readyz(self) -> Verdict:
        # by the time that there is a Watch the stores are proven and the policy was read whole
        return readiness(
            policy_loaded=not self._copy.stale(), store_proven=True, assigned=self._stream.assigned
        )

    def _lag(self) -> int:
        """Offsets between what was fetched and the ends of this worker's partitions."""
        return sum(max(0, end - position) for position, end in self._stream.lag().values())

    def _measure(self) -> None:
        metrics.LAG_RECORDS.set(self._lag())
        for topic, reader in self._copy.readers.items():
            metrics.POLICY_AGE_SECONDS.labels(topic=topic).set(reader.age())
            metrics.POLICY_VERSION.labels(topic=topic).set(sum(reader.version))
