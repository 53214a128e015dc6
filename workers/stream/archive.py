"""The archive's stream: one Faust agent over chunks of a topic, for an Owner that keeps the offsets.

The group decides who reads which partition, nothing else. docs/kafka.md has the reasons for its settings.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Mapping
from time import monotonic
from typing import cast

import structlog
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal, StrongroomError
from workers.stream.app import ArchiveApp, StreamOptions, faust_app
from workers.stream.chunk import Owner
from workers.stream.connection import KafkaConnection
from workers.stream.consumer_thread import Thread
from workers.stream.log import Log
from workers.stream.refusals import reason
from workers.stream.tenancy import Tenancy
from workers.stream.transport import Consumer

__all__ = ["ArchiveStream", "StreamOptions"]

log = structlog.get_logger()

TEARDOWN_TIMEOUT = 15.0  # seconds for leaving the group and closing; then the process goes without
CANCEL_TIMEOUT = 5.0  # seconds for a start that was cancelled


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
        app = self._app = faust_app(self.connection, self.topic, self.group, self.options)
        app.tenancy = Tenancy(self.topic, self.owner, begin=self._begin, crash=app.crash)
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
        if self._app is not None:
            await self._ended.wait()

    async def halt(self, partitions: Iterable[int]) -> None:
        """Reads these no more until the next assignment: none of their chunks comes, not even a fetched one.

        For partitions of the present assignment; of others nothing is known.
        """
        if self._app is not None:
            await self._app.tenancy.halt(frozenset(partitions))

    async def reclaim(self, partitions: Iterable[int]) -> None:
        """Has the Owner claim these anew, and goes on where it says; what was fetched before is dropped.

        For partitions of the present assignment; of others nothing is known.
        """
        if self._app is not None:
            await self._app.tenancy.reclaim(frozenset(partitions))

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        """{partition: (next offset, metadata)} as the group's offsets. False if that failed."""
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
        """{partition: (position, last stable offset)} of claimed partitions. No I/O.

        Left out are those that are halted, and those for which Kafka has no leader.

        A marker at the end of the log leaves a lag of 1: it is fetched, and yields no chunk.
        """
        return self._thread.lag() if self._app is not None else {}

    def turned(self) -> float:
        """Seconds since the consumer's thread last had a turn; about one where it is well. No I/O.

        While that thread hangs `lag` stands still, and the group gives our partitions away.
        """
        return monotonic() - self._thread.turned_at if self._app is not None else 0.0

    def heard(self) -> dict[int, float]:
        """{partition: when its broker last said where it ends}, in monotonic seconds. No I/O.

        Where this stands still, `lag` can't be believed.
        """
        found = self._thread.hearing.of.copy() if self._app is not None else {}
        return {tp.partition: at for tp, at in found.items()}

    def silent(self) -> float:
        """Seconds without a word from any broker, as of the last turn of the consumer's thread. No I/O."""
        return self._thread.turned_at - self._thread.hearing.at if self._app is not None else 0.0

    @property
    def halted(self) -> frozenset[int]:
        """Assigned partitions for which the Owner named no start, or which it halted later."""
        return self._app.tenancy.halted if self._app is not None else frozenset()

    @property
    def assigned(self) -> bool:
        """Whether every partition that the group gave us (maybe none) is claimed or halted."""
        return self._app is not None and self._app.tenancy.settled

    # -- the consumer's thread ---------------------------------------------------------------------------

    @property
    def _consumer(self) -> Consumer:
        if self._app is None:
            raise Fatal("the stream is not running", remedy="Await this from the Owner, or after run() began")
        return cast(Consumer, self._app.consumer)

    @property
    def _thread(self) -> Thread:
        return self._consumer._thread

    async def _begin(self, tenure: int, claim: int, partition: int, offset: int | None) -> None:
        thread = self._thread
        await thread.within(thread._begin(tenure, claim, TopicPartition(self.topic, partition), offset))

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
                if starting.done() and (error := _failure(starting)):
                    await app.crash(error)  # whatever it crashed of before stays its reason
        finally:
            for task in (stopping, running, starting):
                task.cancel()
            await asyncio.wait({stopping, running, starting}, timeout=CANCEL_TIMEOUT)

    async def _start(self, app: ArchiveApp) -> None:
        facts = Log(self.connection)
        try:
            # Faust would wait, idle, for a topic that is missing
            app.topic_ids = await facts.topic_ids([self.topic])
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
        if isinstance(error, KafkaError) and not error.retriable:
            return Fatal(
                f"Kafka refused the stream of topic {self.topic} in group {self.group} ({error!r})",
                remedy="Check the rights to topic and group, and that no two workers share a static id",
            )
        if isinstance(error, KafkaError):
            return await reason(self.connection, error)
        if isinstance(error, Exception):
            return error
        return Fatal(f"the stream of {self.topic} was cancelled ({error!r})", remedy="Restart the worker")


def _failure(ended: "asyncio.Task[None]") -> BaseException | None:
    """Faust cancels a start whose consumer thread could not: that is a failure too, and no wish to stop."""
    return asyncio.CancelledError("its start") if ended.cancelled() else ended.exception()
