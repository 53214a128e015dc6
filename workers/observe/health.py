"""Is this worker alive, is it ready: pure decisions from what it knows; nobody asks Kafka or S3 for them."""

from collections.abc import Collection, Mapping
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


class Reading(NamedTuple):
    """How far a partition is read."""

    position: int
    end: int  # as far as is known
    heard: float  # grows with each word of its broker about it, and means nothing else


class FetchWatchdog:
    """Not well once a partition was, for `timeout` seconds, neither read on nor known to be read to its end.

    That is a fetch that never returns, from a broker that says nothing. The other partitions may go on: the
    Watchdog sees only that.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._looked: float | None = None
        self._readings: Mapping[int, Reading] = {}
        self._waited: dict[int, float] = {}  # partition → seconds

    def look(self, uptime: float, readings: Mapping[int, Reading], *, excused: bool) -> Verdict:
        """`excused`: nothing is wanted now, or the wait is declared."""
        passed = 0.0 if self._looked is None else uptime - self._looked
        self._looked = uptime
        before, self._readings = self._readings, readings
        if excused or passed > ASLEEP:
            self._waited = {}
            return Verdict(True, "nothing is asked of Kafka")
        self._waited = {
            partition: 0.0
            if _is_read(reading, before.get(partition))
            else self._waited.get(partition, 0.0) + passed
            for partition, reading in readings.items()
        }
        frozen = sorted(partition for partition, waited in self._waited.items() if waited > self._timeout)
        if not frozen:
            return Verdict(True, "partitions are read")
        return Verdict(False, f"Kafka has sent nothing of partitions {frozen} for {self._timeout:.0f} s")


def _is_read(reading: Reading, before: Reading | None) -> bool:
    if before is None or reading.position != before.position:
        return True
    return reading.end - reading.position <= MARKERS and reading.heard != before.heard


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
