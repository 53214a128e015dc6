"""The judge role: reads what archive workers saw of hosts, and puts verdicts on record."""

import socket
import time
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
from workers.observe.health import Steps, Verdict
from workers.observe.holds import Holds
from workers.roles import process
from workers.roles.first_of import first_of
from workers.roles.judge_owner import JudgeOwner
from workers.roles.judge_snapshots import Snapshots
from workers.roles.loop_watch import LoopWatch, Waiting
from workers.roles.process import now
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.publish import Publisher

log = structlog.get_logger()


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


class Watch(LoopWatch):
    """Measures lag too, and ends a judge that has observations waiting and does nothing."""

    def __init__(
        self, owner: JudgeOwner, stream: ArchiveStream, holds: Holds, steps: Steps, progress_timeout: float
    ) -> None:
        super().__init__(holds, steps, progress_timeout)
        self._owner = owner
        self._stream = stream

    def readyz(self) -> Verdict:
        return Verdict(self._stream.assigned, "ready" if self._stream.assigned else "has no assignment yet")

    def doing(self) -> str:
        return "folding" if self._owner.busy else "waiting for observations"

    def waiting(self) -> Waiting:
        lag = sum(max(0, end - position) for position, end in self._stream.lag().values())
        metrics.LAG_RECORDS.set(lag)
        return Waiting(int(self._owner.busy), lag=lag, unassigned=not self._stream.assigned)

    def stands_still(self, reason: str) -> Fatal:
        return Fatal(f"no progress: {reason}", remedy="Start it again: it goes on from its newest snapshot")
