"""Is this worker alive, is it ready: pure decisions from what it knows; nobody asks Kafka or S3 for them."""

from collections.abc import Collection
from typing import NamedTuple

# A transaction marker fetched alone yields no chunk: a lag of a few may rest although all is read (faust.md)
MARKERS = 10  # offsets


class Verdict(NamedTuple):
    well: bool
    reason: str


def progress(
    now: int, last_progress: int, *, lag: int, flushes: int, holds: Collection[str], timeout: float
) -> Verdict:
    """The watchdog: work waits, nothing was taken or committed for `timeout` seconds, and no hold says why.

    `now` and `last_progress` are ms since the epoch, `lag` is in offsets, `flushes` are under way.
    A worker that is not well must exit, so that its partitions go to one that can.
    """
    if lag <= MARKERS and not flushes:
        return Verdict(True, "nothing is waiting")
    if holds:
        return Verdict(True, f"holding: {', '.join(sorted(holds))}")
    idle = (now - last_progress) / 1000
    if idle <= timeout:  # also a clock that was set back
        return Verdict(True, "making progress")
    return Verdict(
        False,
        f"{lag} offsets and {flushes} flushes are waiting, nothing was taken or committed for {idle:.0f} s",
    )


def readiness(*, policy_loaded: bool, store_proven: bool, assigned: bool) -> Verdict:
    """Ready to do its share; `reason` names all that is missing."""
    missing = [
        words
        for there, words in (
            (policy_loaded, "the policy is not loaded"),
            (store_proven, "the store is not proven"),
            (assigned, "no partitions are assigned yet"),
        )
        if not there
    ]
    return Verdict(not missing, "; ".join(missing) or "ready")
