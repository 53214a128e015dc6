"""What is between the parties: every request takes its time, may be cut off, and may outlive its sender."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tests.simulation.loop import PROCESS, Loop, Process

T = TypeVar("T")

NEVER_ARRIVES = 0.3  # of what a killed process had under way


class Lost(Exception):
    """No answer: the request may or may not have been served."""


class Network:
    def __init__(self, loop: Loop, rng: random.Random) -> None:
        self.loop = loop
        self._rng = rng
        self._cut: Counter[tuple[str, str]] = Counter()  # (who, server), names without the run's number
        self.struck: Counter[str] = Counter()  # server → messages that a cut swallowed
        self.late = 0.004  # share of messages that take longer than any time-out

    def cut(self, who: str, server: str) -> Callable[[], None]:
        """Nothing passes between the two until the returned function is called. Cuts add up."""
        self._cut[who, server] += 1

        def heal() -> None:
            self._cut[who, server] -= 1

        return heal

    def delay(self) -> float:
        """Seconds: mostly a few milliseconds, now and then much longer."""
        draw = self._rng.random()
        if draw < self.late:
            return 5 + self._rng.random() * 20
        return 0.3 + self._rng.random() if draw < 0.05 else 0.002 + 0.03 * self._rng.random()

    async def ask(self, server: Process, serve: Callable[[], T], timeout: float) -> T:
        """What `serve` returns or raises at the server; Lost after `timeout` seconds without an answer.

        `serve` runs at once with everything that it does. Cancelling the caller takes nothing back.
        """
        client = PROCESS.get()
        answer: asyncio.Future[T] = self.loop.create_future()

        def arrive() -> None:
            if self._swallows(client, server) or (client.dead and self._rng.random() < NEVER_ARRIVES):
                return
            try:
                respond = partial(answer.set_result, serve())
            except Exception as refusal:
                respond = partial(answer.set_exception, refusal)
            self.loop.call_later(self.delay(), come_back, respond, context=server.context)

        def come_back(respond: Callable[[], None]) -> None:
            if not self._swallows(client, server) and not client.dead and not answer.done():
                respond()

        def expire() -> None:
            if not answer.done():
                answer.set_exception(Lost(f"{server.name} did not answer"))

        self.loop.call_later(self.delay(), arrive, context=server.context)
        timer = self.loop.call_later(timeout, expire)
        try:
            return await answer
        finally:
            timer.cancel()
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen, also where the caller was cancelled in the same moment

    def _swallows(self, client: Process, server: Process) -> bool:
        cut = server.paused or self._cut[client.name.partition("#")[0], server.name] > 0
        if cut:
            self.struck[server.name] += 1
        return cut
