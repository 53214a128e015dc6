"""The watchdog ends a worker that stands still for no declared reason, and no other."""

import pytest

from workers.observe.health import MARKERS, progress, readiness

MINUTE = 60_000  # ms


@pytest.mark.parametrize(
    ("idle", "lag", "flushes", "holds", "well"),
    [
        (0, 10_000, 0, set(), True),
        (2 * MINUTE, 10_000, 0, set(), True),  # exactly the time-out
        (2 * MINUTE + 1, 10_000, 0, set(), False),
        (2 * MINUTE + 1, 10_000, 0, {"denied"}, True),
        (2 * MINUTE + 1, MARKERS, 0, set(), True),  # transaction markers alone
        (2 * MINUTE + 1, MARKERS + 1, 0, set(), False),
        (2 * MINUTE + 1, 0, 1, set(), False),  # a flush that never ends
        (2 * MINUTE + 1, 0, 1, {"unavailable"}, True),
        (99 * MINUTE, 0, 0, set(), True),  # a quiet night
        (-5 * MINUTE, 10_000, 0, set(), True),  # the clock was set back
    ],
)
def test_progress(idle: int, lag: int, flushes: int, holds: set[str], well: bool) -> None:
    now = 1_800_000_000_000
    verdict = progress(now, now - idle, lag=lag, flushes=flushes, holds=holds, timeout=120.0)
    assert verdict.well is well
    assert verdict.reason


def test_a_hold_is_named() -> None:
    verdict = progress(9 * MINUTE, 0, lag=999, flushes=0, holds={"denied", "conflict"}, timeout=1.0)
    assert verdict.reason == "holding: conflict, denied"


@pytest.mark.parametrize("missing", ["policy_loaded", "store_proven", "assigned"])
def test_ready_only_when_nothing_is_missing(missing: str) -> None:
    there = {"policy_loaded": True, "store_proven": True, "assigned": True}
    assert readiness(**there).well
    assert not readiness(**{**there, missing: False}).well


def test_all_that_is_missing_is_named() -> None:
    assert readiness(policy_loaded=False, store_proven=True, assigned=False).reason.count(";") == 1
