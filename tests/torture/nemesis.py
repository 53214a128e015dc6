"""Carries out faults by seed: first each kind once, then by weight, until it is told to end."""

import random
import threading
import time
from collections.abc import Callable, Mapping

from tests.torture.tally import Tally

Actions = Mapping[str, tuple[int, Callable[[], None]]]


class Lane(threading.Thread):
    """One fault after another; several lanes overlap. `first_round` is set when each kind was tried once.

    What an action raises is a failure of the harness, kept in `failed`.
    """

    def __init__(
        self, name: str, actions: Actions, tally: Tally, rng: random.Random, pause: float, begin: list[str]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._actions, self._tally, self._rng, self._pause = actions, tally, rng, pause
        self._later = set(begin)  # these take effect after they are over
        rest = [kind for kind in actions if kind not in begin]
        rng.shuffle(rest)
        self._plan = [*begin, *rest]
        self._end = threading.Event()
        self.first_round = threading.Event()
        self.failed: str | None = None
        self.done: list[tuple[float, str, float]] = []  # when, what, for how long; seconds since the start

    def run(self) -> None:
        began = time.monotonic()
        try:
            while not self._end.is_set():
                kind = self._next()
                at = time.monotonic()
                self._do(kind)
                self.done.append((round(at - began, 1), kind, round(time.monotonic() - at, 1)))
                if not self._plan:
                    self.first_round.set()
                self._end.wait(self._rng.uniform(0, 2 * self._pause))
        except Exception as error:
            self.failed = f"{self.name}: {error!r}"
            self.first_round.set()

    def finish(self) -> None:
        """Returns when the fault under way is over."""
        self._end.set()
        self.join()

    def _do(self, kind: str) -> None:
        """One that struck nobody in the first round comes once more in it: the run waits for each."""
        before = self._tally.counts()[kind]
        self._actions[kind][1]()
        if not self.first_round.is_set() and kind not in self._later and self._tally.counts()[kind] == before:
            self._plan.append(kind)

    def _next(self) -> str:
        if self._plan:
            return self._plan.pop(0)
        kinds = list(self._actions)
        return self._rng.choices(kinds, [self._actions[kind][0] for kind in kinds])[0]
