"""The steward of a simulation: the product's own sweep, without a margin, so that its rule alone protects.

And its checkpoints, of which workers go by the names alone: whatever they do, each that was signed is met.
"""

import asyncio
import random
from typing import TYPE_CHECKING

from tests.simulation.records import DAY
from tests.simulation.s3 import Connection, Traffic, at_once
from tests.unit.ledger.signing import SIGNER
from tests.unit.ledger.world import WRITER
from workers.errors import StrongroomError
from workers.ledger.checkpointing import Checkpointer
from workers.ledger.sweep import Sweep, Terms, sweep
from workers.store.retry import Retry

if TYPE_CHECKING:
    from tests.simulation.world import World


PASSES = 6.0  # seconds at most between two


class Steward:
    """Several at once are as good as one; each may stand still between what it saw and what it does."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._runs = 0
        self._rng = random.Random(f"{world.plan.seed}/steward")

    def begin(self, until: float, pause: float) -> None:
        """Sweeps pass after pass until the time `until`, and stands still for `pause` seconds somewhere."""
        loop = self.world.loop
        self._runs += 1
        process = loop.process(f"steward#{self._runs}")
        loop.spawn(process, self._sweep(until))
        loop.spawn(process, self._sign(until))
        if pause:
            begins = self._rng.random() * 2
            self.world.later(begins, lambda: setattr(process, "paused", True))
            self.world.later(begins + pause, lambda: setattr(process, "paused", False))

    async def _sweep(self, until: float) -> None:
        world = self.world
        bucket = Connection(
            world.store, world.s3, world.network, lambda: False, lambda step: None, Traffic(), world.note
        )
        retry = Retry(clock=world.loop.time, rng=self._rng)
        since = 0
        while world.loop.time() < until:
            try:
                found = await sweep(bucket, bucket, retry, world.now(), self._terms(since))
            except StrongroomError as error:
                world.violated("unforeseen", f"a pass of the steward was ended by {error!r}")
                return
            since = found.settled  # as the role hands it from pass to pass
            world.counts["sweep"] += found.swept
            await asyncio.sleep(PASSES * self._rng.random())

    async def _sign(self, until: float) -> None:
        world = self.world
        bucket = Connection(
            world.store, world.s3, world.network, lambda: False, lambda step: None, Traffic(), world.note
        )
        rng = random.Random(f"{world.plan.seed}/signer/{self._runs}")
        retry = Retry(clock=world.loop.time, rng=rng)
        signer = Checkpointer([bucket], SIGNER, SIGNER.trust, WRITER, retry, every=2, now=world.now)
        while world.loop.time() < until:
            try:
                done = await signer.run_pass()
            except StrongroomError as error:
                world.violated("unforeseen", f"a pass of checkpoints was ended by {error!r}")
                return
            world.counts["checkpoint"] += done.written
            if done.refused and not world.deleted:
                world.violated("checkpoint", f"refused, and nothing is wrong: {done.refused}")
            await asyncio.sleep(PASSES * rng.random())

    def last_pass(self) -> Sweep:
        """In one instant, of all there is, whatever the clocks say."""
        world = self.world
        terms = self._terms(since=0)
        return at_once(sweep(world.store, world.store, Retry(attempts=1), world.now() + DAY, terms))

    def _terms(self, since: int) -> Terms:
        return Terms(delete=True, grace=0.0, since=since)
