"""The watchdog ends a worker that stands still for no declared reason, and no other."""

from dataclasses import dataclass, field

import pytest

from workers.observe.health import MARKERS, FetchWatchdog, Reading, Verdict, Watchdog, Work, readiness
from workers.observe.holds import Holds

TIMEOUT = 120.0


@dataclass
class Watched:
    """A worker whose time passes by looking at it twice a second."""

    dog: Watchdog = field(default_factory=lambda: Watchdog(TIMEOUT))
    uptime: float = 1000.0
    done: int = 0

    def pass_time(
        self,
        seconds: float,
        *,
        lag: int = 0,
        flushes: int = 0,
        unassigned: bool = False,
        holds: frozenset[str] = frozenset(),
    ) -> Verdict:
        """The worst verdict of that time."""
        worst = Verdict(True, "")
        for _ in range(int(seconds * 2)):
            self.uptime += 0.5
            verdict = self.dog.look(self.uptime, Work(lag, flushes, unassigned, holds, self.done))
            worst = verdict if worst.well else worst
        return worst


@pytest.mark.parametrize("work", [{"lag": MARKERS + 1}, {"flushes": 1}, {"unassigned": True}])
def test_work_that_waits_with_nothing_done_ends_the_worker(work: dict[str, int]) -> None:
    watched = Watched()
    assert watched.pass_time(TIMEOUT - 1, **work).well  # type: ignore[arg-type] # one of three
    verdict = watched.pass_time(3, **work)  # type: ignore[arg-type] # one of three
    assert not verdict.well
    assert "nothing was done" in verdict.reason


def test_a_quiet_topic_makes_nobody_impatient() -> None:
    watched = Watched()
    assert watched.pass_time(10 * TIMEOUT, lag=MARKERS).well
    # the timed flush of a batch whose records came long ago
    assert watched.pass_time(TIMEOUT - 1, flushes=1).well


def test_a_burst_after_a_quiet_night_has_all_its_time() -> None:
    watched = Watched()
    watched.pass_time(10 * TIMEOUT)
    assert watched.pass_time(TIMEOUT - 1, lag=10_000).well


def test_whatever_is_done_starts_the_wait_again() -> None:
    watched = Watched()
    for _ in range(5):
        assert watched.pass_time(TIMEOUT - 1, flushes=1).well
        watched.done += 1  # an object of a large flush


def test_a_hold_is_named_and_waits_as_long_as_it_lasts() -> None:
    watched = Watched()
    verdict = watched.pass_time(10 * TIMEOUT, lag=999, holds=frozenset({"denied", "conflict"}))
    assert verdict.well
    assert watched.dog.look(watched.uptime, Work(1, 1, False, {"b", "a"}, 0)).reason == "holding: a, b"
    assert watched.pass_time(TIMEOUT - 1, lag=999).well
    assert not watched.pass_time(3, lag=999).well


def test_a_suspension_is_no_wait() -> None:
    watched = Watched()
    watched.pass_time(1, lag=999)
    watched.uptime += 100 * TIMEOUT
    assert watched.pass_time(TIMEOUT - 2, lag=999).well


@pytest.mark.parametrize("missing", ["policy_fresh", "assigned"])
def test_ready_only_when_nothing_is_missing(missing: str) -> None:
    there = {"policy_fresh": True, "assigned": True}
    assert readiness(**there).well
    assert not readiness(**{**there, missing: False}).well


def test_all_that_is_missing_is_named() -> None:
    assert readiness(policy_fresh=False, assigned=False).reason.count(";") == 1


def test_a_hold_lasts_until_its_release_however_long_that_takes() -> None:
    time = [0.0]
    holds = Holds(lambda: time[0])
    first, second = holds.declare("denied", "403"), holds.declare("denied", "403")
    time[0] = 1e6
    assert holds.active() == {"denied"}
    first()
    first()  # once is enough
    assert holds.active() == {"denied"}
    second()
    assert holds.active() == frozenset()


@dataclass
class Read:
    """Two partitions, looked at twice a second; 1 is read all the time."""

    dog: FetchWatchdog = field(default_factory=lambda: FetchWatchdog(TIMEOUT))
    uptime: float = 1000.0

    def pass_time(
        self, seconds: float, *, lag: int = 0, heard: bool = False, moves: bool = False, excused: bool = False
    ) -> Verdict:
        """The worst verdict of that time, in which this happens to partition 0."""
        worst = Verdict(True, "")
        for _ in range(int(seconds * 2)):
            self.uptime += 0.5
            position = int(self.uptime * 2) if moves else 0
            readings = {
                0: Reading(position, position + lag, self.uptime if heard else 0.0),
                1: Reading(int(self.uptime * 2), int(self.uptime * 2) + 10_000, 0.0),
            }
            verdict = self.dog.look(self.uptime, readings, excused=excused)
            worst = verdict if worst.well else worst
        return worst


def test_a_partition_of_which_nothing_comes_is_seen_although_others_go_on() -> None:
    read = Read()
    assert read.pass_time(TIMEOUT - 1).well
    assert read.pass_time(3).reason == "Kafka has sent nothing of partitions [0] for 120 s"


def test_a_known_end_that_is_not_reached_is_no_less_frozen() -> None:
    read = Read()
    assert read.pass_time(TIMEOUT - 1, lag=MARKERS + 1, heard=True).well
    assert not read.pass_time(3, lag=MARKERS + 1, heard=True).well


@pytest.mark.parametrize(
    "well", [{"heard": True, "lag": MARKERS}, {"moves": True, "lag": 10_000}, {"excused": True}]
)
def test_whoever_is_read_or_known_to_be_quiet_or_excused_is_well(well: dict[str, int]) -> None:
    read = Read()
    assert read.pass_time(TIMEOUT - 1).well
    assert read.pass_time(10 * TIMEOUT, **well).well  # type: ignore[arg-type] # one of three
    assert read.pass_time(TIMEOUT - 1).well


def test_a_suspension_is_no_frozen_fetch() -> None:
    read = Read()
    read.pass_time(TIMEOUT - 1)
    read.uptime += 10 * TIMEOUT
    assert read.pass_time(TIMEOUT - 1).well
