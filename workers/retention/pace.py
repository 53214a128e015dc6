"""How many delete requests are under way at once: one more while all goes well, half when a bucket asks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from workers.errors import Retryable

FIRST = 4  # requests at once
MOST = 32


class Pace:
    """One for all disposals of a process. Additive increase, multiplicative decrease (RFC 5681, 3.1)."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self._allowed = float(first)
        self._most = most
        self._under_way = 0
        self._freed = asyncio.Condition()

    @property
    def allowed(self) -> int:
        return int(self._allowed)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One request. A Retryable that it raises, a SlowDown too, halves what is allowed."""
        async with self._freed:
            await self._freed.wait_for(lambda: self._under_way < self.allowed)
            self._under_way += 1
        try:
            yield
            self._allowed = min(self._most, self._allowed + 1 / self._allowed)
        except Retryable:
            self.slow_down()
            raise
        finally:
            async with self._freed:
                self._under_way -= 1
                self._freed.notify_all()

    def slow_down(self) -> None:
        """What a bucket says of single keys too."""
        self._allowed = max(1.0, self._allowed / 2)
