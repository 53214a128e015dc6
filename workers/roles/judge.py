"""The judge role: reads what archive workers saw of hosts, and puts verdicts on record."""

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from topics import origin_observations
from workers import opening
from workers.by import By
from workers.errors import Fatal
from workers.ledger.policy_book import PolicyBook
from workers.ledger.policy_kinds import ORIGIN_VERDICTS
from workers.ledger.verdict_commands import Judged, append_verdict
from workers.observe import metrics
from workers.observe.health import Steps, Verdict, Watchdog, Work
from workers.observe.holds import Holds
from workers.roles import process
from workers.roles.first_of import first_of
from workers.roles.judge_owner import JudgeOwner
from workers.roles.judge_snapshots import Snapshots
from workers.roles.process import now
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.publish import Publisher

log = structlog.get_logger()

TICK = 0.5  # seconds


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped the worker otherwise. Returns the exit code."""
    # what is not in a snapshot is folded again
    return process.run(settings, _judge, stopped="stopped_before_start")


async def _judge(settings: Settings) -> None:
    holds, steps = Holds(), Steps()
    retry = Retry(hold=holds.declare)
    topic = settings.topic_prefix + origin_observations.NAME
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(opening.health_server(settings))
        surroundings = await opened.enter_async_context(opening.open_surroundings(settings, retry))
        for check in surroundings.checks(enroll=False):
            log.info("checked", check=check.name, found=await check.run())
        keys = await opened.enter_async_context(opening.open_keystore(settings, await surroundings.roots()))
        publisher = Publisher(surroundings.connection)
        await publisher.start()
        opened.push_async_callback(publisher.stop)
        book = PolicyBook(
            surroundings.ledger, ORIGIN_VERDICTS, publisher, prefix=settings.topic_prefix, retry=retry
        )

        async def append(judged: Judged, by: By) -> object:
            """Unpublished is a hold too: what stands in the chain must come to the workers."""
            return await retry.call(lambda: append_verdict(book, judged, by))

        topic_id = (await surroundings.log.topic_ids([topic]))[topic]
        owner = JudgeOwner(
            Snapshots(surroundings.ledger, keys, retry, topic, topic_id, now),
            surroundings.log,
            topic,
            append,
            host=socket.gethostname(),
            interval=settings.judge_snapshot_interval,
            now=now,
            clock=time.monotonic,
            step=steps.step,
        )
        stream = ArchiveStream(
            surroundings.connection,
            topic,
            settings.judge_group,
            owner,
            StreamOptions(
                session_timeout=settings.session_timeout,
                heartbeat_interval=settings.heartbeat_interval,
                instance_id=settings.instance_id,
                drain_timeout=settings.shutdown_timeout,
            ),
        )
        owner.stream = stream
        watch = Watch(owner, stream, holds, steps, settings.progress_timeout)
        server.watch(watch)
        await first_of(stream.run, watch.run)
    log.info("stopped")


class Watch:
    """Measures lag and holds, and ends a judge that has observations waiting and does nothing."""

    def __init__(
        self,
        owner: JudgeOwner,
        stream: ArchiveStream,
        holds: Holds,
        steps: Steps,
        progress_timeout: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._owner = owner
        self._stream = stream
        self._holds = holds
        self._steps = steps
        self._clock = clock
        self._watchdog = Watchdog(progress_timeout)

    def livez(self) -> Verdict:
        """That it is asked shows that the loop turns; `run` ends the process for anything else."""
        return Verdict(True, "folding" if self._owner.busy else "waiting for observations")

    def readyz(self) -> Verdict:
        return Verdict(self._stream.assigned, "ready" if self._stream.assigned else "has no assignment yet")

    async def run(self) -> None:
        """Until cancelled. Raises Fatal once observations wait and nothing is done."""
        while True:
            await asyncio.sleep(TICK)
            self._holds.measure()
            lag = sum(max(0, end - position) for position, end in self._stream.lag().values())
            metrics.LAG_RECORDS.set(lag)
            work = Work(
                lag=lag,
                flushes=int(self._owner.busy),
                unassigned=not self._stream.assigned,
                holds=self._holds.active(),
                done=self._steps.done,
            )
            if not (verdict := self._watchdog.look(self._clock(), work)).well:
                raise Fatal(
                    f"no progress: {verdict.reason}",
                    remedy="Start it again: it goes on from its newest snapshot",
                )
