"""Makes tomorrow's keys ahead, for what is sealed today: else every worker would ask for them at midnight.

What is not made by then, the first flush of the day makes (docs/architecture.md, Keys).
"""

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from workers.sealing.keystore import Keystore

log = structlog.get_logger()

BEGIN_HOUR = 18  # UTC
LOOK_EVERY = 1800.0  # seconds
SPREAD = 1500.0  # seconds over which one look's keys are made


class Tomorrow:
    """`now` gives ms since the epoch."""

    def __init__(self, keys: Keystore, now: Callable[[], int], rng: random.Random | None = None) -> None:
        self._keys = keys
        self._now = now
        self._rng = rng or random.Random()  # noqa: S311 - so that workers do not look all at once

    async def run(self) -> None:
        """Until cancelled. Raises Fatal for a keystore that no worker could work with."""
        while True:
            await asyncio.sleep(LOOK_EVERY * self._rng.uniform(0.5, 1.0))
            await self.look()

    async def look(self, spread: float = SPREAD) -> None:
        """Makes what is due now, over `spread` seconds."""
        today = datetime.fromtimestamp(self._now() / 1000, UTC)
        if today.hour < BEGIN_HOUR:
            return
        day, next_day = (f"{when:%Y-%m-%d}" for when in (today, today + timedelta(days=1)))
        units = [unit._replace(day=next_day) for unit in self._keys.sealing_on(day)]
        left = await self._keys.prepare(units, spread=spread)
        log.info("keys_made_ahead", day=next_day, units=len(units), left=left)
