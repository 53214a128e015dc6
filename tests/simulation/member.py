"""A worker's stream as workers/stream/archive.py behaves, on a simulated Kafka; its Tenancy is the real one.

One thing is better than life: a topic made anew, and a leader that comes back under its own name, are noticed
with the first fetch, where the real stream looks for the former every 5 s. What could be fetched in between
is no fault of the ledger's.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from tests.runs import runs_of
from tests.simulation.group import Assignment, Evicted, Group
from tests.simulation.kafka import Fetched, OutOfRange, Topic
from tests.simulation.loop import Process
from tests.simulation.network import Lost, Network
from workers.errors import Fatal, Retryable
from workers.stream.chunk import Chunk, Owner
from workers.stream.tenancy import Tenancy

T = TypeVar("T")

HEARTBEAT = 2.0  # seconds
TIMEOUT = 4.0  # seconds for a request to the broker
IDLE = 0.4  # seconds between two fetches that bring nothing
FETCHED_AHEAD = 2  # chunks


class Extent(NamedTuple):
    topic_id: str
    bounds: Mapping[int, tuple[int, int]]


class Kafka:
    """The broker as one worker reaches it. It remembers which leader told the bounds of a partition."""

    def __init__(self, topic: Topic, server: Process, network: Network, told: Callable[[int], None]) -> None:
        self.topic = topic
        self.epochs: dict[int, int] = {}
        self._server, self._network, self._told = server, network, told

    async def ask(self, serve: Callable[[], T]) -> T:
        """Raises Lost."""
        return await self._network.ask(self._server, serve, TIMEOUT)

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return await self._patiently(lambda: dict.fromkeys(topics, self.topic.topic_id))

    async def extent(self, topic: str, partitions: frozenset[int] | None = None) -> Extent:
        def serve() -> tuple[Extent, dict[int, int]]:
            numbers = range(len(self.topic.logs)) if partitions is None else sorted(partitions)
            if any(number >= len(self.topic.logs) for number in numbers):
                raise Retryable("a partition is not known yet")
            logs = {number: self.topic.logs[number] for number in numbers}
            answer = Extent(
                self.topic.topic_id, {number: (log.start, log.end) for number, log in logs.items()}
            )
            for number in numbers:
                self._told(number)
            return answer, {number: log.epoch for number, log in logs.items()}

        extent, epochs = await self._patiently(serve)
        self.epochs.update(epochs)
        return extent

    async def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        def serve() -> bytes | None:
            log = self.topic.logs[partition]
            slot = log.at(offset)
            if slot is None or offset < log.start or slot.holds.value in ("marker", "compacted"):
                return None
            return slot.value or b""

        return await self._patiently(serve)

    async def _patiently(self, serve: Callable[[], T]) -> T:
        try:
            return await self.ask(serve)
        except Lost as error:
            raise Retryable(str(error)) from None


class Member:
    """`run` until `stop`, or until something ends the worker: that is raised."""

    def __init__(
        self, name: str, kafka: Kafka, topic_id: str, group: Group, owner: Owner, rng: random.Random
    ) -> None:
        self.name = name
        self._kafka, self._topic_id, self._group, self._owner = kafka, topic_id, group, owner
        self._rng = rng
        self._crashed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()
        self._chunks: asyncio.Queue[tuple[int, Chunk]] = asyncio.Queue(FETCHED_AHEAD)
        self._generation = -1
        self._tenure = 0
        self._holding = False
        self._at: dict[int, int] = {}  # claimed partitions: the end of the last chunk fetched
        self._claims: dict[int, int] = {}
        self.tenancy = Tenancy(kafka.topic.name, owner, begin=self._begin, crash=self._crash)

    # -- for the role ------------------------------------------------------------------------------------

    async def run(self) -> None:
        works = [self._belong(), self._fetch(), self._hand_on(), self._stopping.wait()]
        tasks: list[asyncio.Future[Any]] = [self._crashed, *(asyncio.ensure_future(work) for work in works)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            tasks[2].cancel()
            await self.tenancy.close()
            await self._owner.drain()
        finally:
            for task in tasks:
                task.cancel()
        await self._leave()

    def stop(self) -> None:
        self._stopping.set()

    async def halt(self, partitions: Iterable[int]) -> None:
        await self.tenancy.halt(frozenset(partitions))

    async def reclaim(self, partitions: Iterable[int]) -> None:
        await self.tenancy.reclaim(frozenset(partitions))

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        held = {number: hint for number, hint in hints.items() if self._holding and number in self._at}
        generation = self._generation
        try:
            await self._kafka.ask(lambda: self._group.commit(self.name, generation, held))
        except (Lost, Evicted):
            return False
        return True

    async def hints(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        wanted = list(partitions)
        try:
            left = await self._kafka.ask(lambda: dict(self._group.offsets))
        except Lost:
            return {}
        return {number: left[number] for number in wanted if number in left}

    # -- inside ------------------------------------------------------------------------------------------

    async def _begin(self, tenure: int, claim: int, partition: int, offset: int | None) -> None:
        if tenure != self._tenure or not self._holding:
            return
        if offset is None:
            self._at.pop(partition, None)
            return
        self._at[partition] = offset
        self._claims[partition] = claim

    async def _crash(self, error: BaseException) -> None:
        if not self._crashed.done():
            self._crashed.set_exception(error)

    async def _belong(self) -> None:
        """In the group, for ever."""
        while True:
            joined = await self._joined()
            self._tenure += 1
            self._generation, self._holding = joined.generation, True
            self._at, self._claims = {}, {}
            self.tenancy.assigned(self._tenure, joined.partitions)
            try:
                while True:
                    await asyncio.sleep(HEARTBEAT)
                    await self._beat()
            except Evicted:
                self._holding = False
                self._at, self._claims = {}, {}
                await self.tenancy.revoked(joined.partitions)

    async def _joined(self) -> Assignment:
        while True:
            try:
                found = await self._kafka.ask(lambda: self._group.join(self.name))
            except Lost:
                continue
            if found is not None:
                return found
            await asyncio.sleep(0.3 * self._rng.random())

    async def _beat(self) -> None:
        generation = self._generation
        try:
            await self._kafka.ask(lambda: self._group.heartbeat(self.name, generation))
        except Lost:
            return

    async def _fetch(self) -> None:
        while True:
            asked, claims = dict(self._at), dict(self._claims)
            brought = False
            for partition, found in (await self._got(asked)).items():
                if self._at.get(partition) != asked[partition]:
                    continue  # claimed anew, or gone
                if self._claims.get(partition) == claims[partition] and await self._deliver(partition, found):
                    brought = True
            if not brought:
                await asyncio.sleep(IDLE * (0.5 + self._rng.random()))

    async def _got(self, asked: dict[int, int]) -> dict[int, Fetched | OutOfRange]:
        topic = self._kafka.topic
        try:
            topic_id, found = await self._kafka.ask(lambda: (topic.topic_id, topic.fetch(asked, self._rng)))
        except Lost:
            return {}
        if topic_id != self._topic_id:
            raise Fatal("the topic was deleted and made anew")
        return found

    async def _deliver(self, partition: int, found: Fetched | OutOfRange) -> bool:
        if isinstance(found, OutOfRange) or found.epoch != self._kafka.epochs.get(partition):
            await self.tenancy.reclaim(frozenset({partition}))
            return False
        if not found.records:
            return False
        start, self._at[partition] = self._at[partition], found.end
        chunk = Chunk(partition, start, found.end, runs_of(found.records))
        await self._chunks.put((self._claims[partition], chunk))
        return True

    async def _hand_on(self) -> None:
        while True:
            number, chunk = await self._chunks.get()
            await self.tenancy.take(number, chunk)

    async def _leave(self) -> None:
        try:
            await self._kafka.ask(lambda: self._group.leave(self.name))
        except Lost:
            return
