"""The archive role: raw events in, sealed objects and ledger entries out. Joins the parts."""

import asyncio
import contextlib
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version

import structlog

from topics import origin_observations, policy_applied, raw_events, rejections
from workers import memory, opening
from workers.errors import StrongroomError
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, SortLimits
from workers.ledger.entries import Writer
from workers.ledger.flush import SEALING_THREADS, Flusher, Uploads
from workers.ledger.pack import Compression, Packer
from workers.observe.health import Steps
from workers.observe.holds import Holds
from workers.roles import process
from workers.roles.applied import AppliedReports
from workers.roles.claims import Claims
from workers.roles.first_of import first_of
from workers.roles.heap import calm_collector, keep_freed
from workers.roles.observations import ObservationReports
from workers.roles.owner import Limits, Owner
from workers.roles.policy_copy import PolicyCopy
from workers.roles.process import now
from workers.roles.rejections import RejectionReports
from workers.roles.tomorrow import Tomorrow
from workers.roles.watch import Watch
from workers.settings import Settings
from workers.store.retry import Retry
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.publish import Publisher

log = structlog.get_logger()

PUBLISHER_CLOSES = 3.0  # seconds
DRAIN_MARGIN = 2.0  # seconds that the stream grants the owner's last flush beyond its own limit


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped the worker otherwise. Returns the exit code."""
    # until the stream takes the signals over there is nothing to drain
    return process.run(settings, _archive, stopped="stopped_before_start")


async def _archive(settings: Settings) -> None:
    keep_freed()
    holds, steps = Holds(), Steps()
    retry = Retry(hold=holds.declare)
    if settings.root_key_file is not None:
        log.warning("root_key_in_file", remedy="It is for development: use STRONGROOM_KMS_KEYS in production")
    async with AsyncExitStack() as opened:
        server = await opened.enter_async_context(opening.health_server(settings))
        surroundings = await opened.enter_async_context(opening.open_surroundings(settings, retry))
        for check in (*surroundings.checks(enroll=True), surroundings.policy_check()):
            log.info("checked", check=check.name, found=await check.run())
        keys = await opened.enter_async_context(opening.open_keystore(settings, await surroundings.roots()))
        policy = Policy()
        calm_collector()  # or it looks at each workspace a dozen times while they are loaded
        copy = PolicyCopy(
            surroundings.connection, settings.topic_prefix, policy, settings.policy_stale_after, now
        )
        opened.push_async_callback(copy.stop)
        await copy.start()
        log.info("policy_loaded", keys=len(policy), versions=copy.versions())
        _compare_memory(settings, policy)
        publisher = Publisher(surroundings.connection)
        await publisher.start()
        opened.push_async_callback(_closed, publisher)
        reports = AppliedReports(
            copy,
            publisher,
            settings.topic_prefix + policy_applied.NAME,
            settings.instance_id or f"{socket.gethostname()}:{os.getpid()}",
            settings.policy_stale_after,
            now,
        )
        opened.push_async_callback(reports.stop)
        refused = RejectionReports(publisher, settings.topic_prefix + rejections.NAME, now)
        opened.push_async_callback(refused.stop)
        observed = ObservationReports(
            publisher, settings.topic_prefix + origin_observations.NAME, policy.workspace, keys
        )
        opened.push_async_callback(observed.stop)

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
            uploads=Uploads(settings.put_concurrency),
            now=now,
            uploaded=steps.step,
        )
        topic = settings.topic_prefix + raw_events.NAME
        claims = await Claims.on(topic, surroundings.log, surroundings.ledger, writer, retry, now)
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
                observe_interval=settings.observe_interval,
            ),
            holds.declare,
            steps.step,
            now,
            time.monotonic,
            refused.tell,
            observed.tell,
        )
        stream = ArchiveStream(
            surroundings.connection,
            topic,
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
        watch = Watch(owner, stream, copy, holds, steps, settings.progress_timeout, settings.buffer_bytes_max)
        server.watch(watch)
        calm_collector()
        tomorrow = Tomorrow(keys, now)
        await first_of(
            *(stream.run, watch.run, copy.follow, tomorrow.run),
            *(reports.run, refused.run, observed.run),
            lambda: owner.failed,
        )
    log.info("stopped")


def _compare_memory(settings: Settings, policy: Policy) -> None:
    """Killed for its memory, a worker would only do the same work again."""
    most, allowed = memory.bound(settings, len(policy), len(policy.workspaces)), memory.limit()
    if allowed is None or most <= allowed:
        log.info("memory_bound", bytes=most, limit=allowed)
    else:
        log.warning("memory_limit_low", bytes=most, limit=allowed, remedy=memory.REMEDY)


async def _closed(publisher: Publisher) -> None:
    """What it sends is for people to look at: its end must not hold up the worker's."""
    with contextlib.suppress(TimeoutError, StrongroomError):
        await asyncio.wait_for(publisher.stop(), PUBLISHER_CLOSES)
