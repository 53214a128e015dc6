"""An event loop whose time is virtual and whose schedule is a function of a seed.

asyncio promises that callbacks run in the order in which they were scheduled, and programs rely on it; nobody
promises anything between processes. So each process has its own queue, in order, and the seed picks whose
callback is next. A paused process keeps its queue; a killed one loses it, and everything it would have done.
"""

import asyncio
import heapq
import itertools
import random
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Stuck(Exception):
    """The schedule did not end within its virtual time, or within its steps without time passing."""


class Process:
    """What is paused and killed as one: a writer, a server, the harness."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.queue: deque[events.Handle] = deque()
        self.paused = False
        self.dead = False
        self.context: Context = copy_context()  # for callbacks that nobody's task awaits
        self.context.run(PROCESS.set, self)

    def __repr__(self) -> str:
        return self.name


PROCESS: ContextVar[Process] = ContextVar("process")


class _Future(asyncio.Future[T]):
    """With a hash that is the same in every run: sets of futures are walked by asyncio itself."""

    def __init__(self, *, loop: "Loop") -> None:
        super().__init__(loop=loop)
        self._number = next(loop.numbers)

    def __hash__(self) -> int:
        return self._number


class _Task(asyncio.Task[T]):
    """As _Future. Nobody is told that a killed process left tasks behind."""

    def __init__(self, work: Coroutine[Any, Any, T], *, loop: "Loop", context: Context | None) -> None:
        self._number = next(loop.numbers)
        super().__init__(work, loop=loop, context=context)
        self._log_destroy_pending = False

    def __hash__(self) -> int:
        return self._number


class Loop(asyncio.BaseEventLoop):
    """Raises Stuck from `run_until_complete` when `until` (seconds) or `max_steps` is passed."""

    def __init__(self, rng: random.Random, *, until: float, max_steps: int) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.steps = 0
        self.until = until
        self.max_steps = max_steps
        self.harness = Process("harness")
        self.processes = [self.harness]
        self.unhandled: list[str] = []  # what asyncio would only have logged
        self._rng = rng
        self._time = 0.0
        self._timers: list[tuple[float, int, events.TimerHandle]] = []
        self.set_exception_handler(lambda _, what: self.unhandled.append(_described(what)))

    def time(self) -> float:
        return self._time

    def process(self, name: str) -> Process:
        process = Process(name)
        self.processes.append(process)
        return process

    def spawn(self, process: Process, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        context = copy_context()
        context.run(PROCESS.set, process)
        return self.create_task(work, context=context)

    def kill(self, process: Process) -> None:
        """Nothing of it runs any more. What it sent stays sent."""
        process.dead = True
        process.queue.clear()
        if process in self.processes:
            self.processes.remove(process)

    # -- what asyncio asks of a loop ---------------------------------------------------------------------

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    def create_task(  # type: ignore[override]  # typeshed's hint differs between versions of Python
        self, coro: Coroutine[Any, Any, T], *, name: object = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        return _Task(coro, loop=self, context=context)

    def _call_soon(
        self, callback: Callable[..., object], args: Any, context: Context | None
    ) -> events.Handle:
        handle = events.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> events.Handle:
        return self._call_soon(callback, args, context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        timer = events.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self.numbers), timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> events.TimerHandle:
        return self.call_at(self._time + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        """It stays in the heap, and is skipped when its time has come."""

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Runs `func` in one piece, at a moment that the seed chooses."""
        future: asyncio.Future[T] = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_later(self._rng.random() * 0.02, run)
        return future

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """The generators of a simulation hold nothing that would have to be closed."""

    def _run_once(self) -> None:
        ready = [process for process in self.processes if process.queue and not process.paused]
        if not ready:
            self._advance()
            return
        process = ready[0] if len(ready) == 1 else ready[int(self._rng.random() * len(ready))]
        self.steps += 1
        if self.steps > self.max_steps:
            raise Stuck(f"{self.steps} steps, {self._time:.1f} s: it turns without end")
        handle = process.queue.popleft()
        if not handle._cancelled:  # no call: this runs for each callback
            handle._run()
            handle = None  # type: ignore[assignment]  # it would keep its exception alive in a cycle

    def _advance(self) -> None:
        """To the next timer that is still wanted."""
        while self._timers:
            when, _, timer = heapq.heappop(self._timers)
            if not timer._cancelled:
                self._time = max(self._time, when)
                self._enqueue(timer)
                break
        else:
            raise Stuck(f"{self._time:.1f} s: everybody waits, and nothing will happen")
        if self._time > self.until:
            raise Stuck(f"not over after {self.until:.0f} s")

    def _enqueue(self, handle: events.Handle) -> None:
        process = handle._context.get(PROCESS, self.harness)  # type: ignore[attr-defined]  # asyncio's own, which typeshed leaves out
        if not process.dead:
            process.queue.append(handle)


def _described(what: dict[str, Any]) -> str:
    error = what.get("exception")
    return f"{what.get('message')}: {error!r}"
