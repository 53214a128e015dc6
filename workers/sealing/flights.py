"""One load a key, however many ask for it at once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Flights:
    """A caller that is cancelled leaves the load to the others."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, asyncio.Future[Any]] = {}

    async def join(self, key: Hashable, load: Callable[[], Awaitable[T]]) -> T:
        """What `load` returns or raises, called once for all who ask until it is done."""
        task: asyncio.Future[T] | None = self._tasks.get(key)
        if task is None:
            task = asyncio.ensure_future(load())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def _landed(self, key: Hashable, task: asyncio.Future[Any]) -> None:
        del self._tasks[key]
        if not task.cancelled():
            task.exception()  # seen: when all who asked were cancelled, nobody else looks
