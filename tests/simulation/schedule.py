"""Runs the schedule of a plan, which alone decides it: the same plan gives the same outcome everywhere."""

import gc
import random
import secrets
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import structlog

from tests.simulation.loop import Stuck
from tests.simulation.plan import Plan
from tests.simulation.world import World


@dataclass(frozen=True)
class Outcome:
    plan: Plan
    violations: tuple[tuple[str, str], ...]  # kind, detail
    counts: Counter[str]  # faults that struck, by name
    steps: int
    seconds: float  # virtual
    trace: tuple[tuple[float, str, str], ...]  # virtual time, who, what


def simulate(plan: Plan) -> Outcome:
    """Runs one schedule to its end. Deterministic: the plan alone decides."""
    with _seeded(plan.seed):
        world = World(plan)
        try:
            world.loop.run_until_complete(world.loop.spawn(world.loop.harness, world.schedule()))
        except Stuck as stuck:
            world.violated("stuck", f"{stuck}; {_whereabouts(world)}")
        for what in world.loop.unhandled:
            world.violated("unhandled", what)
        world.counts.update(each.fault.value[0] for each in world.store.faults.injected)
        world.counts.update({f"cut_{server}": count for server, count in world.network.struck.items()})
        world.loop.close()
    return Outcome(
        plan,
        tuple(world.violations),
        world.counts,
        world.loop.steps,
        world.loop.time(),
        tuple(world.trace),
    )


def _whereabouts(world: World) -> str:
    return ", ".join(
        f"[{partition}] head {world.head(partition)} of {log.last_record()}, halted {world.halted(partition)}"
        for partition, log in enumerate(world.topic.logs)
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    rng = random.Random(f"secrets/{seed}")
    with (
        mock.patch.object(secrets, "token_hex", lambda size: rng.randbytes(size).hex()),
        mock.patch.object(secrets, "token_bytes", rng.randbytes),
    ):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """For many schedules: no log lines, and no word about what killed processes leave behind."""
    before, hook = structlog.get_config(), sys.unraisablehook
    structlog.configure(
        processors=[_dropped], wrapper_class=structlog.BoundLogger, cache_logger_on_first_use=False
    )
    sys.unraisablehook = lambda what: None
    gc.collect()
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(100_000, 10, 10)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            yield
    finally:
        gc.collect()
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        structlog.configure(**before)
        sys.unraisablehook = hook


def _dropped(logger: object, name: str, event: Any) -> Any:
    raise structlog.DropEvent
