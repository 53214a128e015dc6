"""The retain worker between Kafka and its agent: plans at intervals, sends tasks, works off what it gets.

Tasks share the work out, and nothing else: a lost one is sent again with the next plan, a doubled one finds
nothing to do, and what the worker's own plan does not have is passed over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from topics import retention_tasks
from topics.retention_tasks import RetentionTask
from workers.errors import Fatal, Poison, Retryable
from workers.intake.dispositions import Clock
from workers.retention.agent import Agent, Planned, measure_policy
from workers.retention.due import Unusable
from workers.sealing.keys import Unit, checked_unit
from workers.store.retry import Hold
from workers.stream.chunk import Chunk

log = structlog.get_logger()

PLANNER = 0  # whoever has this partition sends the tasks
LOOK = 0.5  # seconds


class Stream(Protocol):
    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool: ...

    async def hints(self, partitions: frozenset[int]) -> dict[int, tuple[int, str]]: ...


class Bounds(Protocol):
    async def bounds(self, topic: str, partitions: frozenset[int]) -> dict[int, tuple[int, int]]: ...


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> object: ...


class TaskOwner:
    """An Owner of the partitions of retention-tasks (workers/stream/chunk.py). `interval` in seconds.

    Without `delete` it plans, measures and tells, and touches nothing.
    """

    def __init__(
        self,
        agent: Agent,
        log: Bounds,
        publisher: Publisher,
        topic: str,
        *,
        interval: float,
        concurrency: int,
        delete: bool,
        stale: Callable[[], bool],
        now: Callable[[], int],
        hold: Hold,
        close: Callable[[Planned, int], Awaitable[None]] | None = None,
    ) -> None:
        self._agent = agent
        self._log = log
        self._publisher = publisher
        self._topic = topic
        self._interval = interval
        self._delete = delete
        self._stale = stale
        self._now = now
        self._hold = hold
        self._close = close  # goes on with closed workspaces, by a plan and the time at which it was begun
        self._slots = asyncio.Semaphore(concurrency)
        self._owned: set[int] = set()
        self._ready = asyncio.Event()  # there is a plan to hold tasks against
        self._under_way: dict[Unit, asyncio.Task[None]] = {}
        self._planning = False
        self.stream: Stream | None = None

    @property
    def planned(self) -> bool:
        return self._ready.is_set()

    @property
    def busy(self) -> bool:
        return self._planning or bool(self._under_way)

    # -- what the stream calls -------------------------------------------------------------------------

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        """From where the group stood; where it never did, or the log was cut, from its end."""
        bounds = await self._log.bounds(self._topic, partitions)
        hints = {} if self.stream is None else await self.stream.hints(partitions)
        self._owned |= partitions
        starts: dict[int, int | None] = {}
        for partition, (first, end) in bounds.items():
            hint = hints.get(partition, (end, ""))[0]
            starts[partition] = hint if first <= hint <= end else end
        return starts

    async def revoked(self, partitions: frozenset[int]) -> None:
        """What is under way goes on: another worker beside it does no harm."""
        self._owned -= partitions

    async def take(self, chunk: Chunk) -> None:
        await self._ready.wait()
        units = [unit for value in chunk.values() if (unit := _unit_of(value)) is not None]
        await asyncio.gather(*(self._start(unit) for unit in dict.fromkeys(units)))
        if self.stream is not None:
            await self.stream.commit_hint({chunk.partition: (chunk.end, "")})

    async def drain(self) -> None:
        """Steps may be cut anywhere: nothing has to be brought to an end."""
        for task in self._under_way.values():
            task.cancel()

    # -- what the role runs ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._plan_for_ever())
            tasks.create_task(self._go_on())

    async def _plan_for_ever(self) -> None:
        while True:
            self._planning = True
            await self._until_fresh()
            await self.plan()
            self._planning = False
            await asyncio.sleep(self._interval)

    async def plan(self) -> None:
        """One plan, and its tasks if this worker is the one to send them."""
        begun = self._now()
        try:
            planned = await self._agent.plan()
        except Fatal as error:
            log.error("not_planned", error=error.message, remedy=error.remedy)
            return  # an older plan must not go on by a ledger that is broken: `take` asks the policy anyway
        self._ready.set()
        if not self._delete:
            return
        if PLANNER in self._owned:
            try:
                for task in planned.tasks:
                    await self._publisher.send_and_wait(
                        self._topic, retention_tasks.record_key(task), retention_tasks.codec.encode(task)
                    )
            except Retryable as error:
                log.warning("tasks_not_sent", error=error.message, remedy=error.remedy)
        if self._close is not None:
            await self._close(planned, begun)

    async def _until_fresh(self) -> None:
        """A plan by an old copy would find nothing due."""
        if not self._stale():
            return
        release = self._hold("policy_stale", "the copy of workspaces is too old to delete by")
        measure_policy(Unusable.STALE)
        try:
            while self._stale():  # noqa: ASYNC110 # its age is a matter of time, which no event tells
                await asyncio.sleep(LOOK)
        finally:
            release()

    async def _go_on(self) -> None:
        """With units whose key's last caches have let go by now: they need no other task."""
        while True:
            await asyncio.sleep(LOOK)
            for unit, at in list(self._agent.later.items()):
                if self._now() >= at and unit not in self._under_way:
                    self._spawn(unit)

    async def _start(self, unit: Unit) -> None:
        if not self._delete:
            return
        task = self._under_way.get(unit) or self._spawn(unit)
        await asyncio.wait([task])

    def _spawn(self, unit: Unit) -> asyncio.Task[None]:
        task = asyncio.create_task(self._advance(unit))
        self._under_way[unit] = task
        task.add_done_callback(lambda _: self._under_way.pop(unit, None))
        return task

    async def _advance(self, unit: Unit) -> None:
        async with self._slots:
            await self._agent.advance(unit)


def _unit_of(value: bytes | None) -> Unit | None:
    """None for what is no task: whoever sent it, the next plan sends what is due."""
    try:
        task: RetentionTask = retention_tasks.codec.decode(value or b"")
        return checked_unit(Unit(task.workspace, task.source, task.day, Clock(task.clock)))
    except (Poison, ValueError) as error:
        log.warning("task_unreadable", error=str(error))
        return None
