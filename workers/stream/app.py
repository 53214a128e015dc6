"""The Faust app of a stream: its settings, and the one agent (docs/kafka.md, Settings)."""

import asyncio
import signal
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from mode.supervisors import CrashingSupervisor

from workers.errors import Fatal
from workers.stream.connection import KafkaConnection
from workers.stream.consumer_thread import Delivery
from workers.stream.tenancy import Tenancy
from workers.stream.transport import SCHEME, ChunkSchema, Consumer


@dataclass(frozen=True, slots=True)
class StreamOptions:
    session_timeout: float = 10.0  # seconds without a heartbeat until the group gives our partitions away
    heartbeat_interval: float = 1.0  # seconds
    rebalance_timeout: float = 30.0  # seconds that the group waits for a member to come back
    fetch_bytes: int = 1 << 20  # a partition and fetch
    buffered_chunks: int = 4  # fetched and waiting for the Owner
    instance_id: str | None = None  # static membership: this process's own ordinal, never shared
    metadata_max_age: float = 5.0  # seconds until new partitions are seen
    drain_timeout: float = 25.0  # seconds for `Owner.drain` at a clean stop
    stop_signals: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGINT)


# A fetch is bounded in compressed bytes: one of 1 MB may bring 10 MB of records and more, which nobody counts
# while they wait for the Owner. Of usual ones (760 bytes) it has up to 7,000, compressed: a lower bound would
# cut them into a chunk and a small rest, which costs nearly as much as another.
CHUNK_RECORDS = 10_000


class _ConsumerOnly(BootStrategy):
    enable_kafka_producer = False
    enable_web = False


class ArchiveApp(faust.App):
    """A Faust app that consumes and does nothing else: no producer, no web server, no folder, no topic."""

    BootStrategy = _ConsumerOnly
    tenancy: Tenancy
    topic_ids: Mapping[str, str]  # what is read, and the id that it had when we began

    async def _producer_flush(self, logger: Any) -> None:
        """There is no producer."""

    def _crash(self, reason: BaseException) -> None:
        """The first reason is the reason: the others follow from it."""
        if not self.crashed:
            super()._crash(reason)

    def _create_directories(self) -> None:
        """There are no tables, and the root file system may be read-only."""


def faust_app(connection: KafkaConnection, topic: str, group: str, options: StreamOptions) -> ArchiveApp:
    """The app with its one agent; `tenancy` and `topic_ids` are still to be set."""
    app = ArchiveApp(
        group,
        broker=";".join(f"{SCHEME}://{server}" for server in connection.servers),
        broker_credentials=_credentials(connection),
        broker_client_id=connection.client_id,
        broker_session_timeout=options.session_timeout,
        broker_heartbeat_interval=options.heartbeat_interval,
        broker_rebalance_timeout=options.rebalance_timeout,
        # a request to join waits for the others as long as the group does
        broker_request_timeout=max(options.rebalance_timeout, options.session_timeout) + 10.0,
        broker_max_poll_interval=86400.0,  # paused longer than this, aiokafka never rejoins
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="none",
        consumer_max_fetch_size=options.fetch_bytes,
        broker_max_poll_records=CHUNK_RECORDS,
        consumer_metadata_max_age_ms=int(options.metadata_max_age * 1000),
        consumer_group_instance_id=options.instance_id,
        stream_buffer_maxsize=options.buffered_chunks,
        agent_supervisor=CrashingSupervisor,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,  # aiokafka's round robin; Faust's own assignor is for tables
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
        datadir=Path(tempfile.gettempdir()) / "strongroom",  # never made, see ArchiveApp
        autodiscover=False,
        loop=asyncio.get_running_loop(),
    )

    @app.agent(app.topic(topic, schema=ChunkSchema()), name="archive", concurrency=1)
    async def archive(stream: faust.StreamT[Any]) -> None:
        async for event in cast(faust.Stream[Delivery], stream).noack().events():
            # Faust's interest ends here: nothing of its own waits for a flush
            cast(Consumer, app.consumer).forget(event.message)
            await app.tenancy.take(*event.value)
            # chunks that wait follow each other at once: a revocation must not wait for all of them
            await asyncio.sleep(0)
        if not app.should_stop:
            raise Fatal("the archive's agent has no stream any more", remedy="Restart, and report this")

    return app


def _credentials(connection: KafkaConnection) -> Any:
    if connection.sasl_mechanism:
        return faust.SASLCredentials(
            mechanism=connection.sasl_mechanism,
            username=connection.sasl_username,
            password=connection.sasl_password,
            ssl_context=connection.ssl_context,
        )
    return faust.SSLCredentials(context=connection.ssl_context) if connection.ssl_context else None
