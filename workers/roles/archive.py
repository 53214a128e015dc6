"""The archive role: raw events in, sealed objects and ledger entries out. Joins the parts."""

import asyncio
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version

import structlog

from topics import raw_events
from workers import opening
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, SortLimits
from workers.ledger.assign import LogId, claim
from workers.ledger.entries import Writer
from workers.ledger.flush import Flusher
from workers.ledger.head import Head, Hint
from workers.ledger.pack import Compression, Packer
from workers.observe.holds import Holds
from workers.observe.http import HealthServer
from workers.observe.logs import configure
from workers.roles.owner import Limits, Owner
from workers.roles.policy_copy import PolicyCopy
from workers.roles.startup import Surroundings
from workers.roles.watch import Watch
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.archive import ArchiveStream, StreamOptions

log = structlog.get_logger()

SEALING_THREADS = 2  # compression, encryption and digests run outside the GIL, beside the event loop
DRAIN_MARGIN = 2.0  # seconds that the stream grants the owner's last flush beyond its own limit


def now() -> int:
    """ms since the epoch."""
    return time.time_ns() // 1_000_000


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped the worker otherwise. Returns the exit code."""
    configure(settings.log_format, settings.log_level)
    asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    work = asyncio.create_task(_archive(settings))
    # until the stream takes the signals over there is nothing to drain
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        log.info("stopped_before_start")


async def _archive(settings: Settings) -> None:
    holds = Holds()
    retry = Retry(hold=holds.declare)
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(HealthServer(settings.http_host, settings.http_port))
        surroundings = await opened.enter_async_context(opening.open_surroundings(settings, retry))
        for check in surroundings.checks(enroll=True):
            log.info("checked", check=check.name, found=await check.run())
        keys = await opened.enter_async_context(opening.open_keystore(settings))
        policy = Policy()
        copy = PolicyCopy(surroundings.connection, settings.topic_prefix, policy, settings.policy_stale_after)
        opened.push_async_callback(copy.stop)
        await copy.start()
        log.info("policy_loaded", keys=len(policy), versions=copy.versions())

        threads = opened.enter_context(ThreadPoolExecutor(SEALING_THREADS, "seal"))
        writer = Writer(settings.instance_id or socket.gethostname(), version("strongroom"))
        flusher = Flusher(
            data=surroundings.data,
            ledger=surroundings.ledger,
            keys=keys,
            packer=Packer(Compression(settings.compression), settings.compression_level),
            writer=writer,
            retry=retry,
            threads=threads,
            uploads=asyncio.Semaphore(settings.put_concurrency),
            now=now,
        )
        claims = await Claims.on(settings.topic_prefix + raw_events.NAME, surroundings, writer, retry)
        owner = Owner(
            claims,
            Sorter(policy, SortLimits(unknown_key_bytes=settings.unknown_key_bytes_max)),
            copy,
            flusher,
            Limits(
                flush_bytes=settings.flush_bytes,
                flush_interval=settings.flush_interval,
                buffer_bytes_max=settings.buffer_bytes_max,
                shutdown_timeout=settings.shutdown_timeout,
            ),
            holds.declare,
            now,
        )
        stream = ArchiveStream(
            surroundings.connection,
            claims.topic,
            settings.group,
            owner,
            StreamOptions(
                session_timeout=settings.session_timeout,
                heartbeat_interval=settings.heartbeat_interval,
                fetch_bytes=settings.fetch_bytes,
                instance_id=settings.instance_id,
                drain_timeout=settings.shutdown_timeout + DRAIN_MARGIN,
            ),
        )
        claims.stream = owner.stream = stream
        watch = Watch(owner, stream, copy, holds, settings.progress_timeout, now)
        server.watch(watch)
        await first_of(stream.run, watch.run, copy.follow, lambda: owner.failed)
    log.info("stopped")


class Claims:
    """Claims partitions of one topic for the owner: its log, its ledger, the hints in the group's offsets."""

    def __init__(
        self, topic: str, topic_id: str, surroundings: Surroundings, writer: Writer, retry: Retry
    ) -> None:
        self.topic = topic
        self.stream: ArchiveStream | None = None
        self._topic_id = topic_id
        self._surroundings = surroundings
        self._writer = writer
        self._retry = retry

    @classmethod
    async def on(cls, topic: str, surroundings: Surroundings, writer: Writer, retry: Retry) -> "Claims":
        topic_id = (await surroundings.log.topic_ids([topic]))[topic]
        return cls(topic, topic_id, surroundings, writer, retry)

    async def __call__(self, partition: int) -> Head:
        hint = await self._hint(partition)
        log_id = LogId(self.topic, self._topic_id, partition)
        partition_log = _PartitionLog(self._surroundings, self.topic, partition)
        return await claim(
            self._surroundings.ledger,
            log_id,
            partition_log,
            hint=hint,
            writer=self._writer,
            now=now(),
            retry=self._retry,
        )

    async def _hint(self, partition: int) -> Hint | None:
        found = {} if self.stream is None else await self.stream.hints([partition])
        return Hint.parse(found[partition][1]) if partition in found else None


class _PartitionLog:
    def __init__(self, surroundings: Surroundings, topic: str, partition: int) -> None:
        self._log = surroundings.log
        self._retry = surroundings.retry
        self._topic = topic
        self._partition = partition

    async def bounds(self) -> tuple[int, int]:
        found = await self._retry.call(lambda: self._log.bounds(self._topic, [self._partition]))
        return found[self._partition]

    async def record(self, offset: int) -> bytes | None:
        return await self._retry.call(lambda: self._log.record(self._topic, self._partition, offset))


async def first_of(*works: Callable[[], Awaitable[None]]) -> None:
    """Runs all until one ends; then cancels the others and raises what that one raised."""
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
