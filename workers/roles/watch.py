"""Watches the archive: has flushed what is due, measures, and ends a worker that makes no progress."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import structlog

from workers.errors import Fatal
from workers.observe import metrics
from workers.observe.health import FetchWatchdog, Reading, Steps, Verdict, Watchdog, Work, readiness
from workers.observe.holds import Holds
from workers.roles.owner import Owner
from workers.roles.policy_copy import PolicyCopy

log = structlog.get_logger()

TICK = 0.5  # seconds
BLIND = 10.0  # seconds without a look, after which /livez says that nobody watches any more
SILENT = 30.0  # seconds without a word from any broker, after which that is a declared hold


class Stream(Protocol):
    @property
    def assigned(self) -> bool: ...

    def lag(self) -> dict[int, tuple[int, int]]:
        """Partition → (position, last stable offset)."""

    def heard(self) -> dict[int, float]:
        """Partition → when its broker last said where it ends."""

    def silent(self) -> float:
        """Seconds without a word from any broker."""

    def turned(self) -> float:
        """Seconds since the consumer's thread last turned."""


class Watch:
    def __init__(
        self,
        owner: Owner,
        stream: Stream,
        copy: PolicyCopy,
        holds: Holds,
        steps: Steps,
        progress_timeout: float,
        buffer_bytes_max: int,
    ) -> None:
        self._owner = owner
        self._stream = stream
        self._copy = copy
        self._holds = holds
        self._steps = steps
        self._progress_timeout = progress_timeout
        self._buffer_bytes_max = buffer_bytes_max
        self._watchdog = Watchdog(progress_timeout)
        self._fetch_watchdog = FetchWatchdog(progress_timeout)
        self._release_silence: Callable[[], None] | None = None
        self._looked = time.monotonic()
        self._verdict = Verdict(True, "starting")

    async def run(self) -> None:
        """Until cancelled. Raises Fatal if work waits and nothing is done."""
        # apart from each other: a tick that hangs must not keep the watchdog from looking
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tick())
            tasks.create_task(self._look())

    def livez(self) -> Verdict:
        """Asks neither Kafka nor S3."""
        blind = time.monotonic() - self._looked
        return self._verdict if blind <= BLIND else Verdict(False, f"nobody has looked for {blind:.0f} s")

    def readyz(self) -> Verdict:
        return readiness(policy_fresh=not self._copy.stale(), assigned=self._stream.assigned)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            await self._owner.tick()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + TICK
            await asyncio.sleep(TICK)
            metrics.LOOP_LAG_SECONDS.set(loop.time() - due)
            self._measure()
            self._listen()
            self._looked = time.monotonic()
            self._verdict = self._watchdog.look(self._looked, self._work())
            fetching = self._fetch_watchdog.look(
                self._looked, self._readings(), excused=self._asks_for_nothing()
            )
            if self._verdict.well and not fetching.well:
                self._verdict = fetching
                log.error("fetch_frozen", reason=fetching.reason, action="last flush, then exit")
                # the next life may meet the same broker: what this one has taken must not be in vain
                await self._owner.drain()
            if not self._verdict.well:
                raise Fatal(
                    f"no progress: {self._verdict.reason}",
                    remedy="The worker exits and another takes its partitions; its last log lines say why",
                )

    def _listen(self) -> None:
        """An outage of Kafka restarts no worker: it is declared, as one of S3 is."""
        silent = self._stream.assigned and self._stream.silent() > SILENT
        if silent and self._release_silence is None:
            self._release_silence = self._holds.declare("kafka_silent", "no broker answers")
        elif not silent and self._release_silence is not None:
            self._release_silence()
            self._release_silence = None

    def _readings(self) -> dict[int, Reading]:
        heard = self._stream.heard()
        return {
            partition: Reading(position, end, heard.get(partition, 0.0))
            for partition, (position, end) in self._stream.lag().items()
        }

    def _asks_for_nothing(self) -> bool:
        full = self._owner.buffered_bytes >= self._buffer_bytes_max
        return full or not self._stream.assigned or bool(self._holds.active())

    def _work(self) -> Work:
        return Work(
            lag=self._lag(),
            flushes=sum(partition.flushes for partition in self._owner.partitions.values()),
            # of a consumer whose thread hangs, nothing that it says can be believed
            unassigned=not self._stream.assigned or self._stream.turned() > self._progress_timeout / 2,
            holds=self._holds.active(),
            done=self._steps.done,
        )

    def _lag(self) -> int:
        """Offsets between what was fetched and the ends of this worker's partitions."""
        return sum(max(0, end - position) for position, end in self._stream.lag().values())

    def _measure(self) -> None:
        self._holds.measure()
        metrics.LAG_RECORDS.set(self._lag())
        for topic, reader in self._copy.readers.items():
            metrics.POLICY_AGE_SECONDS.labels(topic=topic).set(reader.age())
            metrics.POLICY_VERSION.labels(topic=topic).set(sum(reader.version))
