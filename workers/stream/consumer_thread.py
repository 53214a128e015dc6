"""The consumer's own thread: the only place that touches aiokafka's consumer of the group (docs/kafka.md).

Its loop sends the heartbeats, so that a busy main loop is never evicted. An assignment begins with all
partitions paused; each is fetched from where it was claimed, and a fetch of a partition becomes one chunk.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    KafkaError,
    OffsetOutOfRangeError,
)
from aiokafka.structs import (  # type: ignore[import-untyped]  # aiokafka ships no types
    OffsetAndMetadata,
    TopicPartition,
)
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service
from mode.threads import WorkerThread

from workers.errors import Fatal
from workers.stream import metadata
from workers.stream.chunk import Chunk, Run
from workers.stream.hearing import Hearing, ends_of
from workers.stream.unpack import AsRuns, unpack_by_batch

FETCH_MAX_WAIT_MS = 500  # a partition that is resumed waits this long behind a running fetch; Faust has 1,500
PARTS_INTERVAL = 1.0  # seconds between two looks at the consumer's own parts
ENDS_INTERVAL = 5.0  # seconds between two looks at where the log ends, for the watchdog
TOPIC_INTERVAL = 5.0  # seconds between two looks at whether the topic is still the same
REQUEST_TIMEOUT = 10.0  # seconds for one advisory question to the broker
TURN_TIMEOUT = REQUEST_TIMEOUT + 5.0  # seconds that the main loop waits for this thread

T = TypeVar("T")


class Delivery(NamedTuple):
    """A chunk and the number of the claim for which it was fetched (tenancy.py)."""

    claim: int
    chunk: Chunk


class DaemonThread(WorkerThread):
    """A consumer thread that hangs must not keep a process alive that was told to stop."""

    def __init__(self, service: Any, **kwargs: Any) -> None:
        super().__init__(service, **kwargs)
        self.daemon = True


class RebalanceListener(driver.ConsumerRebalanceListener):
    """Called in the consumer thread, around each change of the assignment."""

    _thread: "Thread"

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> Any:
        self._thread.end_tenure()
        return super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._thread.begin_tenure(assigned)
        await super().on_partitions_assigned(assigned)


class Thread(driver.AIOKafkaConsumerThread):
    """Methods without `self.within` around them run in this thread."""

    Worker = DaemonThread
    shutdown_timeout = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.turned_at = monotonic()  # when this thread's loop last had a turn
        self.tenure = 0
        self.holding = False  # between an assignment and the revocation that ends it
        self._at: dict[TopicPartition, int] = {}  # claimed partitions: the end of the last chunk fetched
        self._claims: dict[TopicPartition, int] = {}  # and the number of the claim
        self._ends: dict[TopicPartition, int] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._leaderless: frozenset[TopicPartition] = frozenset()
        conf = self.consumer.app.conf
        self.hearing = Hearing(conf.consumer_group_instance_id, conf.broker_session_timeout)

    async def on_start(self) -> None:
        await super().on_start()
        consumer = self._ensure_consumer()
        self.hearing.listen(consumer._coordinator)
        unpack_by_batch(consumer._fetcher, AsRuns)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # Faust offers it only with exactly_once
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    # -- in the consumer thread -------------------------------------------------------------------------

    def end_tenure(self) -> None:
        self.holding = False
        self._at = {}
        self._claims = {}
        self._ends = {}
        self._leaders = {}
        self._leaderless = frozenset()
        self.hearing.forget()

    def begin_tenure(self, assigned: Iterable[TopicPartition]) -> None:
        """Pauses all: nothing is fetched before its Owner has said from where.

        The position 0 is never read. Without one aiokafka would look for the group's offset, and fail where
        there is none (reset is `none`).
        """
        self.tenure += 1
        self.end_tenure()
        self.holding = True
        consumer = self._ensure_consumer()
        for tp in assigned:
            consumer.pause(tp)
            consumer.seek(tp, 0)
        self._leaders = self._known_leaders(assigned)

    async def _begin(self, tenure: int, claim: int, tp: TopicPartition, offset: int | None) -> None:
        if tenure != self.tenure or not self.holding:
            return  # revoked while the claim was under way
        consumer = self._ensure_consumer()
        if offset is None:
            consumer.pause(tp)
            self._at.pop(tp, None)
            return
        consumer.seek(tp, offset)  # drops what was fetched ahead
        self._at[tp] = offset
        self._claims[tp] = claim
        self.hearing.heard([tp])
        consumer.resume(tp)

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: Any = None, max_records: Any = None
    ) -> dict[TP, list[Delivery]]:
        try:
            found: Any = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except OffsetOutOfRangeError as error:
            # cut, or overtaken by its retention: the claim compares log and ledger, and halts that partition
            cut = self._at.keys() & error.args[0].keys()
            self._claim_anew(frozenset(cut), "the log does not hold what was to be read next")
            return {}
        # nothing was awaited since the position moved past these records
        assignment: Any = found and consumer._subscription.subscription.assignment
        self._check_leaders(found)
        return {
            tp: [Delivery(self._claims[tp], self._chunk(tp, assignment, gathered.runs))]
            for tp, gathered in found.items()  # AsRuns
            if tp in self._at
        }

    def _chunk(self, tp: Any, assignment: Any, runs: Sequence[Run]) -> Chunk:
        start, end = self._at[tp], assignment.state_value(tp).position
        self._at[tp] = end
        if end <= start:
            raise Fatal(
                f"{tp.topic}[{tp.partition}]: a fetch at offset {start} ended at {end}",
                remedy="The log was cut or replaced while it was read. Restart: the ledger decides",
            )
        return Chunk(tp.partition, start, end, runs)

    async def _commit_hints(self, hints: Mapping[TopicPartition, tuple[int, str]]) -> None:
        held = {
            tp: OffsetAndMetadata(offset, metadata)
            for tp, (offset, metadata) in hints.items()
            if self.holding and tp in self._at
        }
        if held:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await self._ensure_consumer().commit(held)

    async def _hints(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            found: dict[
                TopicPartition, OffsetAndMetadata
            ] = await self._ensure_consumer()._coordinator.fetch_committed_offsets(list(tps))
        return found

    @Service.task
    async def _watch_parts(self) -> None:
        """A dead coordinator or fetcher ends the stream: Faust asks neither.

        Not asked in a fetch: there is none while the flow is stopped (a rebalance, a first assignment that
        never comes), nor for a member without partitions.
        """
        while True:
            await self.sleep(PARTS_INTERVAL)
            self.turned_at = monotonic()
            if self.should_stop:
                return
            consumer = self._ensure_consumer()
            consumer._coordinator.check_errors()
            if self.holding:
                self.hearing.look(consumer._subscription.subscription.assignment, self._at)
            fetching = consumer._fetcher.error_future
            if fetching.done():
                if not fetching.cancelled():
                    fetching.result()
                raise Fatal("aiokafka's fetcher has ended", remedy="Restart the worker, and report this")

    @Service.task
    async def _watch_ends(self) -> None:
        """A fetcher that is stuck never learns that the log has grown: ask apart from it."""
        while not self.should_stop:
            await self.sleep(ENDS_INTERVAL)
            tenure, tps = self.tenure, list(self._at)
            self._check_leaders(tps)
            leaders = self._known_leaders(tps)
            leaderless = frozenset(tps) - leaders.keys()
            if leaderless - self._leaderless:
                self.log.warning("Kafka has no leader for %s: they wait for one", sorted(leaderless))
            self._leaderless = leaderless
            ends = await ends_of(leaders, self._ensure_consumer()._fetcher, REQUEST_TIMEOUT)
            if len(ends) < len(leaders):
                self.log.warning("Nobody says where %s end", sorted(leaders.keys() - ends.keys()))
            if ends and tenure == self.tenure and self.holding:
                self._ends.update(ends)
                self.hearing.heard(ends)

    @Service.task
    async def _watch_topic(self) -> None:
        """A topic that was deleted and made anew is another log, though its offsets may fit ours."""
        known = self.consumer.app.topic_ids  # type: ignore[attr-defined]  # ArchiveApp, which imports this
        while True:
            await self.sleep(TOPIC_INTERVAL)
            if self.should_stop:
                return
            try:
                # not aiokafka's own question, which may create a topic
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    cluster = await metadata.ask(self._ensure_consumer()._client, sorted(known))
            except (KafkaError, TimeoutError) as error:
                self.log.info("Could not ask for the id of %s: %r", sorted(known), error)
                continue
            self.hearing.heard()
            for topic, facts in cluster.topics.items():
                if facts.error_code == 0 and facts.topic_id != known[topic]:
                    raise Fatal(
                        f"topic {topic} was deleted and made anew: its id is {facts.topic_id}, "
                        f"was {known[topic]}",
                        remedy="Restart the worker: it claims the new log, or says what that needs",
                    )

    def _check_leaders(self, tps: Iterable[TopicPartition]) -> None:
        """A new leader may have a shorter log, or another: its partition is claimed, and so checked, anew.

        Asked at each fetch, before its records are handed on: a log that was cut and grew past our position
        would only look longer. Until it is claimed nothing of the partition is fetched.
        """
        known = self._known_leaders(tps)
        moved = frozenset(tp for tp, leader in known.items() if self._leaders.get(tp, leader) != leader)
        self._leaders.update(known)
        if moved:
            self._claim_anew(moved, "their leader changed")

    def _claim_anew(self, tps: frozenset[TopicPartition], why: str) -> None:
        """Nothing of them is fetched until they are claimed."""
        self.log.warning("Claiming %s anew: %s", sorted(tps), why)
        consumer = self._ensure_consumer()
        for tp in tps:
            consumer.pause(tp)
            self._at.pop(tp, None)
        app: Any = self.consumer.app  # ArchiveApp, which imports this module
        partitions = frozenset(tp.partition for tp in tps)
        asyncio.run_coroutine_threadsafe(app.tenancy.reclaim(partitions), self.consumer.loop)

    def _known_leaders(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        cluster = self._ensure_consumer()._client.cluster
        leaders = {tp: cluster.leader_for_partition(tp) for tp in tps}
        return {tp: leader for tp, leader in leaders.items() if leader is not None and leader >= 0}

    # -- from any thread --------------------------------------------------------------------------------

    async def within(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` in the consumer thread: nothing of aiokafka is thread-safe.

        Raises TimeoutError where that thread hangs or has ended, rather than hang with it.
        """
        if self.thread_loop.is_closed():
            work.close()
            raise TimeoutError("the consumer thread has ended")
        # not Faust's call_thread: its two workers may both wait for an assignment
        running = asyncio.run_coroutine_threadsafe(work, self.thread_loop)
        async with asyncio.timeout(TURN_TIMEOUT):
            return await asyncio.wrap_future(running)

    def lag(self) -> dict[int, tuple[int, int]]:
        """Claimed partitions that have a leader: (position, last stable offset as far as known). No I/O.

        Stands still where this thread hangs: `turned_at` tells.
        """
        subscription = self._consumer and self._consumer._subscription.subscription
        assignment = subscription and subscription.assignment
        ends, lags = self._ends, {}
        for tp, position in self._at.copy().items():  # which that thread changes meanwhile
            if tp in self._leaderless:
                continue
            state = assignment and assignment.state_value(tp)
            fetched = state.lso if state and state.lso is not None else position
            lags[tp.partition] = (position, max(position, fetched, ends.get(tp, position)))
        return lags

    def close(self) -> None:
        """Stock code closes the client from the wrong thread if a rebalance meets a stop; `stop` does it."""

    def on_crash(self, msg: str, *fmt: Any, **kwargs: Any) -> None:
        """Stock code prints a traceback to stderr; `ArchiveStream.run` raises the error instead."""
