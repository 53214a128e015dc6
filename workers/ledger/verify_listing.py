"""Lists keys with their versions, one at a time, and works on many at once without losing their order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from workers.errors import Retryable
from workers.store.port import Store, Version
from workers.store.retry import Retry

T = TypeVar("T")
R = TypeVar("R")


class Listed(NamedTuple):
    key: str
    there: bool  # the newest version is an object, not a delete marker
    versions: int  # without delete markers
    markers: int


class Listing:
    """The keys under `prefix` and behind `after`, each with what is left of its past. Memory: one page.

    A request that fails is made again from the last whole key, as `retry` allows.
    """

    def __init__(self, store: Store, prefix: str, retry: Retry, *, after: str = "") -> None:
        self._store, self._prefix, self._retry, self._after = store, prefix, retry, after
        self._begin()

    def __aiter__(self) -> AsyncIterator[Listed]:
        return self

    async def __anext__(self) -> Listed:
        found = await self._retry.call(self._next)
        if found is None:
            raise StopAsyncIteration
        self._after = found.key
        return found

    def _begin(self) -> None:
        self._versions = self._store.versions(self._prefix, after=self._after)
        self._ahead: Version | None = None

    async def _next(self) -> Listed | None:
        try:
            first = self._ahead or await anext(self._versions, None)
            if first is None:
                return None
            there, versions, markers = False, 0, 0
            version: Version | None = first
            while version is not None and version.key == first.key:
                there = there or (version.is_latest and not version.delete_marker)
                markers += version.delete_marker
                versions += not version.delete_marker
                version = await anext(self._versions, None)
            self._ahead = version
            return Listed(first.key, there, versions, markers)
        except Retryable:
            self._begin()
            raise


async def in_order(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, ahead: int
) -> AsyncGenerator[R, None]:
    """What `work` makes of each item, in the items' order; `ahead` of them are under way at once.

    Close it (contextlib.aclosing): what is still under way is cancelled then.
    """
    tasks: deque[asyncio.Future[R]] = deque()
    try:
        async for item in items:
            tasks.append(asyncio.ensure_future(work(item)))
            if len(tasks) >= ahead:
                yield await tasks.popleft()
        while tasks:
            yield await tasks.popleft()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Budget:
    """Bounds how many things are under way, and how many bytes they have in all; a larger one goes alone.

    Whoever comes first is served first.
    """

    def __init__(self, *, places: int, total: int) -> None:
        self._places, self._left, self._total = places, total, total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def of(self, size: int) -> AsyncIterator[None]:
        wanted = min(size, self._total)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((wanted, turn))
        self._serve()
        try:
            await turn
            yield
        finally:
            if turn.done() and not turn.cancelled():
                self._places += 1
                self._left += wanted
            self._serve()

    def _serve(self) -> None:
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done():
                if not self._places or self._left < wanted:
                    return
                self._places -= 1
                self._left -= wanted
                turn.set_result(None)
            self._waiting.popleft()
