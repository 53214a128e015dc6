"""The archive's stream: one Faust agent over chunks of a topic, for an Owner that keeps the offsets.

The group decides who reads which partition, nothing else. See faust.md for every setting and override.
"""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import faust
import structlog
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    KafkaError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types
from faust.app.base import BootStrategy
from mode.supervisors import CrashingSupervisor

from workers.errors import Fatal, StrongroomError
from workers.stream.chunk import Owner
from workers.stream.connection import KafkaConnection, reason
from workers.stream.consumer_thread import Delivery, Thread
from workers.stream.log import Log
from workers.stream.tenancy import Tenancy
from workers.stream.transport import SCHEME, ChunkSchema, Consumer

log = structlog.get_logger()

TEARDOWN_TIMEOUT = 15.0  # seconds for leaving the group and closing; then the process goes without
CANCEL_TIMEOUT = 5.0  # seconds for a start that was cancelled


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


class _ConsumerOnly(BootStrategy):
    enable_kafka_producer = False
    enable_web = False


class ArchiveApp(faust.App):
    """A Faust app that consumes and does nothing else: no producer, no web server, no folder, no topic."""

    BootStrategy = _ConsumerOnly
    tenancy: Tenancy

    async def _producer_flush(self, logger: Any) -> None:
        """There is no producer."""

    def _crash(self, reason: BaseException) -> None:
        """The first reason is the reason: the others follow from it."""
        if not self.crashed:
            super()._crash(reason)

    def _create_directories(self) -> None:
        """There are no tables, and the root file system may be read-only."""


class ArchiveStream:
    """`run` until `stop`, a stop signal, or a failure. The Owner is called from the loop that runs it."""

    def __init__(
        self,
        connection: KafkaConnection,
        topic: str,
        group: str,
        owner: Owner,
        options: StreamOptions | None = None,
    ) -> None:
        self.connection = connection
        self.topic = topic
        self.group = group
        self.owner = owner
        self.options = options or StreamOptions()
        self._app: ArchiveApp | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    # -- for the role ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Returns after a clean stop. Raises what stopped it otherwise: let it end the process with 1."""
        app = self._app = self._build()
        with self._signals():
            try:
                await self._until_stopped(app)
                if not app.crashed:
                    await self._drain(app)
            finally:
                await self._tear_down(app)
                self._ended.set()
        if app.crashed:
            raise await self._cause(app.crash_reason)

    async def stop(self) -> None:
        """Stops fetching, drains the Owner, leaves the group. Returns when `run` is over, in bounded time.

        Not to be awaited from a method of the Owner, which `run` may be waiting for.
        """
        self._stopping.set()
        await self._ended.wait()

    async def pause(self, partitions: Iterable[int]) -> None:
        """Stops fetching these. A chunk that was fetched already still comes."""
        thread = self._thread
        await thread.within(thread._pause(self.topic, frozenset(partitions)))

    async def resume(self, partitions: Iterable[int]) -> None:
        """Goes on fetching these; halted partitions stay halted."""
        thread = self._thread
        await thread.within(thread._resume(self.topic, frozenset(partitions)))

    async def reclaim(self, partitions: Iterable[int]) -> None:
        """Has the Owner claim these anew, and goes on where it says; what was fetched before is dropped.

        For partitions of the present assignment; of others nothing is known.
        """
        if self._app is not None:
            await self._app.tenancy.reclaim(frozenset(partitions))

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        """{partition: (next offset, metadata)} as the group's offsets. False if they could not be left."""
        thread = self._thread
        found = {TopicPartition(self.topic, partition): hint for partition, hint in hints.items()}
        try:
            await thread.within(thread._commit_hints(found))
        except (KafkaError, TimeoutError) as error:
            log.info("hint_not_committed", topic=self.topic, partitions=sorted(hints), error=repr(error))
            return False
        return True

    async def hints(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        """The group's offsets with their metadata: where there are any, none if the broker is mute."""
        thread = self._thread
        tps = [TopicPartition(self.topic, partition) for partition in partitions]
        try:
            found = await thread.within(thread._hints(tps))
        except (KafkaError, TimeoutError) as error:
            log.warning("hints_not_read", topic=self.topic, error=repr(error))
            return {}
        return {tp.partition: (hint.offset, hint.metadata) for tp, hint in found.items()}

    def lag(self) -> dict[int, tuple[int, int]]:
        """{partition: (position, last stable offset)} of claimed partitions, halted ones left out. No I/O.

        A marker at the end of the log leaves a lag of 1: it is fetched, and yields no chunk.
        """
        return self._thread.lag() if self._app is not None and self._thread._consumer is not None else {}

    @property
    def halted(self) -> frozenset[int]:
        """Assigned partitions for which the Owner named no start."""
        return self._app.tenancy.halted if self._app is not None else frozenset()

    @property
    def assigned(self) -> bool:
        """Whether every partition that the group gave us (maybe none) is claimed or halted."""
        return self._app is not None and self._app.tenancy.settled

    # -- the app -----------------------------------------------------------------------------------------

    def _build(self) -> ArchiveApp:
        options = self.options
        app = ArchiveApp(
            self.group,
            broker=";".join(f"{SCHEME}://{server}" for server in self.connection.servers),
            broker_credentials=self._credentials(),
            broker_client_id=self.connection.client_id,
            broker_session_timeout=options.session_timeout,
            broker_heartbeat_interval=options.heartbeat_interval,
            broker_rebalance_timeout=options.rebalance_timeout,
            # a request to join waits for the others as long as the group does
            broker_request_timeout=max(options.rebalance_timeout, options.session_timeout) + 10.0,
            broker_max_poll_interval=86400.0,  # paused longer than this, aiokafka never rejoins
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="none",
            consumer_max_fetch_size=options.fetch_bytes,
            consumer_metadata_max_age_ms=int(options.metadata_max_age * 1000),
            consumer_group_instance_id=options.instance_id,
            stream_buffer_maxsize=options.buffered_chunks,
            agent_supervisor=CrashingSupervisor,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,  # else Faust's assignor, whose metadata makes a static member rebalance
            web_enabled=False,
            web_tables_enabled=False,
            web_router_enabled=False,
            datadir=Path(tempfile.gettempdir()) / "strongroom",  # never made, see ArchiveApp
            autodiscover=False,
            loop=asyncio.get_running_loop(),
        )
        app.tenancy = Tenancy(self.topic, self.owner, begin=self._begin, crash=app.crash)

        @app.agent(app.topic(self.topic, schema=ChunkSchema()), name="archive", concurrency=1)
        async def archive(stream: faust.StreamT[Any]) -> None:
            async for event in cast(faust.Stream[Delivery], stream).noack().events():
                # Faust's interest ends here: neither a rebalance nor a stop waits for a flush
                self._consumer.forget(event.message)
                await app.tenancy.take(*event.value)
            if not app.should_stop:
                raise Fatal("the archive's agent has no stream any more", remedy="Restart, and report this")

        return app

    def _credentials(self) -> Any:
        connection = self.connection
        if connection.sasl_mechanism:
            return faust.SASLCredentials(
                mechanism=connection.sasl_mechanism,
                username=connection.sasl_username,
                password=connection.sasl_password,
                ssl_context=connection.ssl_context,
            )
        return faust.SSLCredentials(context=connection.ssl_context) if connection.ssl_context else None

    @property
    def _consumer(self) -> Consumer:
        if self._app is None:
            raise Fatal("the stream is not running", remedy="Await this from the Owner, or after run() began")
        return cast(Consumer, self._app.consumer)

    @property
    def _thread(self) -> Thread:
        return self._consumer._thread

    async def _begin(self, tenure: int, starts: Mapping[int, int | None]) -> None:
        thread = self._thread
        found = {TopicPartition(self.topic, partition): offset for partition, offset in starts.items()}
        await thread.within(thread._begin(tenure, found))

    # -- start and stop ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in self.options.stop_signals:
            loop.add_signal_handler(number, self._stopping.set)
        try:
            yield
        finally:
            for number in self.options.stop_signals:
                loop.remove_signal_handler(number)

    async def _until_stopped(self, app: ArchiveApp) -> None:
        """Starts the app and waits. Starting lasts until the first assignment, so a stop may come before."""
        stopping = asyncio.create_task(self._stopping.wait())
        starting = asyncio.create_task(self._start(app))
        running = asyncio.create_task(app.wait_until_stopped())
        try:
            # a crash in the consumer thread sets the app's flag without waking this loop
            while not stopping.done() and not running.done() and not app.crashed:
                await asyncio.wait({stopping, running}, timeout=1.0, return_when=asyncio.FIRST_COMPLETED)
                if starting.done() and (error := starting.exception()):
                    await app.crash(error)
        finally:
            for task in (stopping, running, starting):
                task.cancel()
            await asyncio.wait({stopping, running, starting}, timeout=CANCEL_TIMEOUT)

    async def _start(self, app: ArchiveApp) -> None:
        facts = Log(self.connection)
        try:
            await facts.partitions(self.topic)  # Faust would wait, idle, for a topic that is missing
        finally:
            await facts.close()
        await app.start()

    async def _drain(self, app: ArchiveApp) -> None:
        """Ends fetching, then lets the Owner flush while the group still holds our place."""
        app.consumer.stop_flow()
        app.flow_control.suspend()
        await app.tenancy.close()
        try:
            async with asyncio.timeout(self.options.drain_timeout):
                await self.owner.drain()
        except TimeoutError:
            log.warning("drain_timed_out", topic=self.topic, seconds=self.options.drain_timeout)

    async def _tear_down(self, app: ArchiveApp) -> None:
        stopping = asyncio.create_task(app.stop())
        _, pending = await asyncio.wait({stopping}, timeout=TEARDOWN_TIMEOUT)
        if pending:
            log.warning("teardown_timed_out", topic=self.topic, seconds=TEARDOWN_TIMEOUT)
            stopping.cancel()

    async def _cause(self, error: BaseException | None) -> BaseException:
        if isinstance(error, StrongroomError):
            return error
        if isinstance(error, OffsetOutOfRangeError):
            return Fatal(
                f"topic {self.topic} no longer holds what was to be read next ({error})",
                remedy="It was cut, or its retention overtook us. Restart: the claim compares log and ledger",
            )
        if isinstance(error, KafkaError):
            return await reason(self.connection, error)
        if isinstance(error, Exception):
            return error
        return Fatal(f"the stream of {self.topic} was cancelled ({error!r})", remedy="Restart the worker")
