"""A retain worker's agent as a process that SIGKILL ends. Its parent is its clock, and Kafka."""

import asyncio
import os
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple
from zlib import crc32

import structlog

from tests.integration.retention.mortal import Mortal
from topics import audit, workspaces
from workers.intake.policy import Policy
from workers.ledger.entries import Writer
from workers.retention.agent import Agent
from workers.retention.census import Registrar
from workers.retention.dispose import Disposer, Outcome, Terms
from workers.retention.due import PolicyView
from workers.retention.index import UnitIndex
from workers.retention.plan import Limits
from workers.retention.truth import Truth
from workers.roles.retain import Auditor, view_of
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.store.retry import Retry
from workers.store.s3 import open_s3

RETRY = Retry(attempts=20)
TERMS = Terms(destroy_after=86_400_000, shred_latency=300_000)
NO_BRAKES = Limits(workspace=1.0, fleet=1.0)
TRIES = 5  # of a unit that somebody else moved: as many plans would have it again
AT_ONCE = 4  # units: so a kill finds requests of others on their way


class Hired(NamedTuple):
    name: str
    endpoint: str
    region: str
    credentials: tuple[str, str]
    buckets: tuple[str, ...]  # ledger, data, replica, keys


class Task(NamedTuple):
    """To the child. `now`: ms since the epoch; `moments`: Life's; the rest: see `is_dealt`."""

    now: int
    moments: int
    shuffle: int
    deal: int
    number: int
    workers: int


class Spread(NamedTuple):
    """To the child: a record of a topic."""

    key: bytes | None
    value: bytes


class Step(NamedTuple):
    """From the child: a unit was advanced."""

    outcome: str


class Audited(NamedTuple):
    name: str


class Asked(NamedTuple):
    """Requests by kind since the last word."""

    counts: dict[str, int]


class Done(NamedTuple):
    failures: dict[Unit, str]


class Broken(NamedTuple):
    why: str


def is_dealt(unit: Unit, task: Task) -> bool:
    """Every unit to one of the workers, as Kafka deals tasks, and one in five to all of them."""
    card = crc32(f"{task.deal}/{'/'.join(unit)}".encode())
    return card % 5 == 0 or card // 5 % task.workers == task.number


def main(pipe: Connection, hired: Hired) -> None:
    """What the process runs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"] = hired.credentials
    try:
        asyncio.run(_Child(pipe, hired).run())
    except Exception:
        pipe.send(Broken(traceback.format_exc()))
        sys.exit(1)


class Life:
    """Of a process. `moments`: how many requests and effects of all its stores it lives to see; 0: no end.

    `last_words`: sends what must be known of it.
    """

    def __init__(self, last_words: Callable[[], None]) -> None:
        self.moments = 0
        self.asked: Counter[str] = Counter()  # by kind
        self._last_words = last_words
        self._lived = 0

    def go_on(self, asked: str = "") -> None:
        self._lived += 1
        if self.moments and self._lived >= self.moments:
            self._last_words()
            os.kill(os.getpid(), signal.SIGKILL)
        if asked:
            self.asked[asked] += 1


class _Child:
    def __init__(self, pipe: Connection, hired: Hired) -> None:
        self._pipe = pipe
        self._hired = hired
        self._now = 0
        self._policy = Policy()
        self._tasks: asyncio.Queue[Task] = asyncio.Queue()
        self._life = Life(self._tell_asked)

    async def run(self) -> None:
        """Until it is killed."""
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._hear)
        agent = await self._agent()
        while True:
            task = await self._tasks.get()
            self._now, self._life.moments = task.now, task.moments
            planned = await agent.plan()
            units = sorted(unit for unit in planned.may_go if is_dealt(unit, task))
            random.Random(task.shuffle).shuffle(units)
            slots = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(self._advance(agent, unit, slots) for unit in units))
            self._tell_asked()
            self._pipe.send(Done(dict(agent.failures)))

    async def _advance(self, agent: Agent, unit: Unit, slots: asyncio.Semaphore) -> None:
        async with slots:
            for _ in range(TRIES):
                advanced = await agent.advance(unit)
                if advanced is None or advanced.outcome is not Outcome.MOVED:
                    break
            self._pipe.send(Step("failed" if advanced is None else str(advanced.outcome)))

    def _hear(self) -> None:
        try:
            while self._pipe.poll():
                word = self._pipe.recv()
                if isinstance(word, Task):
                    self._tasks.put_nowait(word)
                else:
                    self._policy.apply_workspace(word.value, word.key)
        except EOFError:
            os._exit(0)  # the parent has gone

    def _tell_asked(self) -> None:
        self._pipe.send(Asked(dict(self._life.asked)))
        self._life.asked.clear()

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Any:
        """Kafka's part: the parent keeps it."""
        if topic != audit.NAME:
            raise AssertionError(topic)
        self._pipe.send(Audited(audit.codec.decode(value).id))

    def _clock(self) -> int:
        return self._now

    def _view(self) -> PolicyView:
        return view_of(self._policy, stale=False)

    async def _agent(self) -> Agent:
        opened = [
            await open_s3(bucket, endpoint=self._hired.endpoint, region=self._hired.region)
            for bucket in self._hired.buckets
        ]
        ledger, data, replica, keys = (Mortal(store, self._life) for store in opened)
        index = UnitIndex(ledger, RETRY, self._clock)
        disposer = Disposer(
            ledger,
            [data, replica],
            Replicas([keys], requests=16),
            index,
            Truth(ledger, self._view, self._clock, RETRY).verdict,
            TERMS,
            Writer(self._hired.name, "test"),
            "host",
            RETRY,
            self._clock,
            index.reaches,
            Auditor(self, audit.NAME).tell,  # type: ignore[arg-type] # it only sends
        )
        registrar = Registrar(ledger, index, RETRY, keeps=True)
        return Agent(ledger, registrar, disposer, self._view, NO_BRAKES, RETRY, self._clock, lambda: None)


PRELOADED = (__name__, workspaces.__name__)
