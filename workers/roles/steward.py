"""The steward role: sweeps what crashes left behind, replays unclaimed records, signs checkpoints: by passes.

And publishes what a policy command that died left unpublished.

The sweep needs neither Kafka nor a root key, and goes on without them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog

from workers import opening
from workers.errors import Fatal
from workers.ledger import data_name, walk
from workers.ledger.orphans import Kind
from workers.ledger.sweep import Brake, Sweep, Terms, sweep
from workers.observe import metrics
from workers.observe.health import Steps, Verdict
from workers.observe.holds import Holds
from workers.roles import process
from workers.roles.checkpoints import Checkpointing, open_checkpointing, signs_checkpoints
from workers.roles.first_of import first_of
from workers.roles.loop_watch import LoopWatch, Waiting
from workers.roles.mending import Mending, open_to_mend
from workers.roles.process import now
from workers.roles.replay import Replaying, can_replay, open_replay
from workers.settings import Settings
from workers.store.port import Store
from workers.store.retry import Retry

log = structlog.get_logger()

BRAKE_REMEDY = "Find out why (deploy/runbooks/orphans_brake.md); then `strongroom orphans sweep --yes`"


def run(settings: Settings) -> int:
    """Until SIGTERM; raises what stopped the worker otherwise. Returns the exit code."""
    # a pass may be given up at any time: the next one looks at everything again
    return process.run(settings, _steward, stopped="stopped")


async def _steward(settings: Settings) -> None:
    holds, steps = Holds(), Steps()
    async with (
        opening.health_server(settings) as server,
        opening.open_ledger(settings) as ledger,
        opening.open_data(settings) as data,
        AsyncExitStack() as opened,
    ):
        retry = Retry(hold=holds.declare)
        steward = Steward(ledger, data, retry, terms(settings), settings.sweep_interval, steps.step, now)
        replaying = Replaying(
            lambda: open_replay(settings, ledger, data, retry, steps.step),
            settings.replay_interval,
            holds.declare,
            now,
        )
        mending = Mending(
            ledger,
            retry,
            lambda: open_to_mend(settings, ledger, retry),
            lambda: opening.policy_topic_ids(settings),
            steps.step,
        )
        checkpointing: Checkpointing | None = None
        if signs_checkpoints(settings):
            checkpointing = await opened.enter_async_context(
                open_checkpointing(settings, ledger, retry, steps.step)
            )
        watch = Watch(
            steward,
            holds,
            steps,
            settings.progress_timeout,
            beside=lambda: (
                replaying.busy or mending.busy or (checkpointing is not None and checkpointing.busy)
            ),
        )
        server.watch(watch)
        works = [steward.run, watch.run, mending.run]
        if checkpointing is not None:
            works.append(checkpointing.run)
        if can_replay(settings):
            works.append(replaying.run)
        await first_of(*works)


def terms(settings: Settings) -> Terms:
    return Terms(
        delete=settings.sweep_delete,
        grace=settings.sweep_grace,
        brake=Brake(settings.sweep_brake_share, settings.sweep_brake_least),
    )


class Steward:
    """`step` is told of all that gets done; `now` is in ms since the epoch, `interval` in seconds."""

    def __init__(
        self,
        ledger: Store,
        data: Store,
        retry: Retry,
        terms: Terms,
        interval: float,
        step: Callable[[], None],
        now: Callable[[], int],
    ) -> None:
        self._ledger = ledger
        self._data = data
        self._retry = retry
        self._terms = terms
        self._interval = interval
        self._step = step
        self._now = now
        self._settled = 0
        self.reached = False  # both buckets have answered
        self.busy = True  # in a pass, or on the way to the first one

    async def run(self) -> None:
        """Until cancelled."""
        await self._reach()
        while True:
            await self.sweep()
            self.busy = False
            await asyncio.sleep(self._interval)
            self.busy = True

    async def _reach(self) -> None:
        for store, prefix in ((self._ledger, walk.ROOT), (self._data, data_name.ROOT)):
            found = await self._retry.call(lambda store=store, prefix=prefix: _any(store, prefix))  # type: ignore[misc] # bound early
            log.info("checked", bucket=store.name, prefix=prefix, found="objects" if found else "nothing yet")
        self.reached = True

    async def sweep(self) -> Sweep:
        """One pass. A store that does not answer is a hold."""
        begun = time.monotonic()
        found = await sweep(
            self._ledger,
            self._data,
            self._retry,
            self._now(),
            replace(self._terms, since=self._settled),
            lambda each: self._step(),
        )
        self._settled = found.settled
        self._step()
        measure(found, time.monotonic() - begun, self._now())
        tell(found, self._terms)
        return found


async def _any(store: Store, prefix: str) -> bool:
    async for _ in store.list(prefix, limit=1):
        return True
    return False


def measure(found: Sweep, seconds: float, ended: int) -> None:
    for kind in Kind:
        metrics.SWEEP_OBJECTS.labels(kind=kind).set(found.kinds[kind])
        metrics.SWEEP_BYTES.labels(kind=kind).set(found.bytes[kind])
    metrics.SWEEP_DUE.set(found.due)
    metrics.SWEEP_BRAKED.set(found.braked)
    metrics.SWEEP_SECONDS.set(seconds)
    metrics.SWEEP_ENDED.set(ended / 1000)
    metrics.ORPHANS_SWEPT.inc(found.swept)
    metrics.ORPHANS_SWEPT_BYTES.inc(found.swept_bytes)
    metrics.ORPHANS_REFUSED.inc(found.refusals)


def tell(found: Sweep, terms: Terms) -> None:
    log.info(
        "sweep_done",
        delete=terms.delete,
        objects=found.objects,
        **{str(kind): found.kinds[kind] for kind in Kind},
        due=found.due,
        due_bytes=found.due_bytes,
        swept=found.swept,
        swept_bytes=found.swept_bytes,
    )
    if found.braked:
        log.error("sweep_braked", due=found.due, objects=found.objects, remedy=BRAKE_REMEDY)
    for key, why in found.refused.items():
        log.warning("sweep_refused", key=key, why=why, of=found.refusals)
    for key, why in found.doubts:
        log.warning("sweep_in_doubt", key=key, why=why, of=found.doubtful)


class Watch(LoopWatch):
    """Ends a steward that does nothing in a pass and declares no hold."""

    def __init__(
        self,
        steward: Steward,
        holds: Holds,
        steps: Steps,
        progress_timeout: float,
        clock: Callable[[], float] = time.monotonic,
        beside: Callable[[], bool] = lambda: False,
    ) -> None:
        """`beside`: whether another work of this process is busy."""
        super().__init__(holds, steps, progress_timeout, clock)
        self._steward = steward
        self._beside = beside

    def readyz(self) -> Verdict:
        return Verdict(
            self._steward.reached, "ready" if self._steward.reached else "the buckets were not reached"
        )

    def doing(self) -> str:
        return "in a pass" if self._steward.busy else "waiting for the next pass"

    def waiting(self) -> Waiting:
        return Waiting(int(self._steward.busy) + int(self._beside()))

    def stands_still(self, reason: str) -> Fatal:
        return Fatal(
            "no progress: a pass stands still", remedy="Start it again; its last log lines say where it stood"
        )
