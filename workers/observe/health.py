"""Is this worker alive, is it ready: pure decisions from what it knows; nobody asks Kafka or S3 for them."""

from collections.abc import Collection
from typing import NamedTuple

# A transaction marker fetched alone yields no chunk: a lag of a few may rest although all is read
MARKERS = 10  # offsets
ASLEEP = 5.0  # seconds between two looks, beyond which this process did not run: suspended, or starved


class Verdict(NamedTuple):
    well: bool
    reason: str


class Work(NamedTuple):
    """What waits in a worker, and what it has done: `done` grows with every step and means nothing else."""

    lag: int  # offsets not yet fetched
    flushes: int  # under way
    unassigned: bool  # waiting for the group, or for the ledger to say where to start
    holds: Collection[str]  # declared causes
    done: int

    @property
    def waiting(self) -> bool:
        return self.lag > MARKERS or self.flushes > 0 or self.unassigned


class Steps:
    """Counts what a worker gets done."""

    def __init__(self) -> None:
        self.done = 0

    def step(self) -> None:
        self.done += 1


class Watchdog:
    """Not well once work has waited for `timeout` seconds, with nothing done and no hold that says why.

    Such a worker must exit, so that its partitions go to one that can. Time is counted while this process
    runs and work waits: neither a quiet topic nor a suspension makes it impatient.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._waited = 0.0  # seconds
        self._looked: float | None = None
        self._done: int | None = None

    def look(self, uptime: float, work: Work) -> Verdict:
        """`uptime` in seconds of a monotonic clock. About once a second."""
        passed = 0.0 if self._looked is None else uptime - self._looked
        self._looked = uptime
        moved, self._done = work.done != self._done, work.done
        if not work.waiting:
            self._waited = 0.0
            return Verdict(True, "nothing is waiting")
        if work.holds:
            self._waited = 0.0
            return Verdict(True, f"holding: {', '.join(sorted(work.holds))}")
        if moved:
            self._waited = 0.0
        elif passed <= ASLEEP:
            self._waited += passed
        if self._waited <= self._timeout:
            return Verdict(True, "making progress")
        what = "an assignment" if work.unassigned else f"{work.lag} offsets and {work.flushes} flushes"
        return Verdict(False, f"{what} waited {self._waited:.0f} s and nothing was done")


def readiness(*, policy_fresh: bool, assigned: bool) -> Verdict:
    """Ready to do its share; `reason` names all that is missing."""
    missing = [
        words
        for there, words in (
            (policy_fresh, "the policy is not known well enough"),
            (assigned, "no partitions are assigned yet"),
        )
        if not there
    ]
    return Verdict(not missing, "; ".join(missing) or "ready")
