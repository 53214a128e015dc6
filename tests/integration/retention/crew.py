"""Retain workers as processes: told what the time is, killed at moments that a seed draws, started anew."""

import asyncio
import multiprocessing
import random
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from tests.integration.retention import child
from tests.integration.retention.child import Asked, Audited, Broken, Done, Hired, Spread, Step, Task


class Crew:
    """`lives`: after about so many of its requests and answers a worker is killed.

    `topic`: the records that a new worker has to read first.
    """

    def __init__(self, hired: list[Hired], lives: int, seed: int, topic: Callable[[], list[Spread]]) -> None:
        self._hired = hired
        self._lives = lives
        self._dealer = random.Random(f"{seed}/deals")
        self._rngs = [random.Random(f"{seed}/{each.name}") for each in hired]
        self._topic = topic
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(child.PRELOADED))
        self._running: dict[int, tuple[ForkServerProcess, Connection]] = {}
        self._ends: dict[int, int] = {}  # moments that each may live
        self.stepped = asyncio.Condition()
        self.steps = 0  # since `work` was called
        self.killed = 0
        self.asked: Counter[str] = Counter()  # requests by kind
        self.outcomes: Counter[str] = Counter()
        self.audited: Counter[str] = Counter()  # by certificate

    async def work(self, now: int, *, mortal: bool = True) -> None:
        """Each plans, and works off what it is dealt, beside the others, however often it is killed."""
        self.steps, deal = 0, self._dealer.randrange(2**32)
        await asyncio.gather(*(self._work(number, now, mortal, deal) for number in range(len(self._hired))))

    def spread(self, record: Spread) -> None:
        for _, pipe in self._running.values():
            with suppress(OSError):  # it is dead, and the next one reads the topic
                pipe.send(record)

    def close(self) -> None:
        for process, pipe in self._running.values():
            process.kill()
            process.join()
            pipe.close()
        self._running.clear()

    async def _work(self, number: int, now: int, mortal: bool, deal: int) -> None:
        rng = self._rngs[number]
        while True:
            if number not in self._running:
                self._start(number)
            moments = self._ends[number] if mortal else 0
            pipe = self._running[number][1]
            try:
                pipe.send(Task(now, moments, rng.randrange(2**32), deal, number, len(self._hired)))
                await self._listen(pipe)
            except (EOFError, OSError):
                self._buried(number)
                continue
            return

    def _start(self, number: int) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=child.main, args=(theirs, self._hired[number]), daemon=True)
        process.start()
        theirs.close()
        for record in self._topic():
            ours.send(record)
        self._running[number] = process, ours
        self._ends[number] = self._rngs[number].randint(1, 2 * self._lives)

    def _buried(self, number: int) -> None:
        process, pipe = self._running.pop(number)
        pipe.close()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise AssertionError(f"{self._hired[number].name} ended with {process.exitcode}")
        self.killed += 1

    async def _listen(self, pipe: Connection) -> None:
        """Until it has done its task. Raises EOFError when it dies."""
        while True:
            word: Any = await _heard(pipe)
            if isinstance(word, Step):
                self.steps += 1
                self.outcomes[word.outcome] += 1
                async with self.stepped:
                    self.stepped.notify_all()
            elif isinstance(word, Audited):
                self.audited[word.name] += 1
            elif isinstance(word, Asked):
                self.asked.update(word.counts)
            elif isinstance(word, Done):
                if word.failures:
                    raise AssertionError(word.failures)
                return
            elif isinstance(word, Broken):
                raise AssertionError(word.why)


async def _heard(pipe: Connection) -> Any:
    if not pipe.poll():
        loop, ready, number = asyncio.get_running_loop(), asyncio.Event(), pipe.fileno()
        loop.add_reader(number, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(number)  # the pipe may be closed by now
    return pipe.recv()
