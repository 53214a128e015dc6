"""The judge of the revocation benchmark finds what was accepted too late, what was lost, who was slowest."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks import noted_worker
from tests.benchmarks.noted_worker import AppliedKey, Decided, Notes
from tests.benchmarks.policy_fleet import Span
from tests.benchmarks.policy_load import Probe
from tests.benchmarks.revocation_figures import MS, Outcome, Revoked, histogram, judged, quantile, worst

T = 1_000_000 * MS  # ns: when the revocation was sent; acknowledged 10 ms later


class Place(NamedTuple):
    partition: int = 0
    offset: int = 0


def at(ms: float) -> int:
    """ns."""
    return T + int(ms * MS)


NOTES = {
    "one": Notes(
        [
            Decided(0, 0, 9, at(-50), at(-40)),
            Decided(0, 10, 19, at(20), at(30)),
            Decided(0, 20, 29, at(90), at(95)),
        ],
        [
            AppliedKey("k", "active", at(-9000)),
            AppliedKey("k", "revoked", at(80)),
            AppliedKey("k", "revoked", at(900)),
        ],
    ),
    "two": Notes([Decided(1, 0, 9, at(200), at(210))], [AppliedKey("k", "revoked", at(150))]),
}
REVOKED = [Revoked("k", Span(T, at(10), Place()))]
PROBES = [
    Probe(0, "k", 0, 5, T // MS - 60, 0),  # decided before
    Probe(1, "k", 0, 15, T // MS + 15, 0),  # after the ack, before `one` had applied it
    Probe(2, "k", 0, 25, T // MS + 85, 0),  # after that
    Probe(3, "k", 1, 5, T // MS - 20, 0),  # by `two`, after it had applied it
    Probe(4, "good", 0, 26, T // MS + 85, 0),
]


def outcome(*accepted: int) -> Outcome:
    return judged(REVOKED, NOTES, PROBES, set(accepted))


def test_a_delay_lasts_until_the_first_time_that_the_worker_applied_it() -> None:
    found = outcome(0, 1, 4)
    delays = {each.worker: each for each in found.delays}
    assert (delays["one"].applied, delays["one"].applied_since_sent) == (70, 80)
    assert (delays["two"].applied, delays["two"].applied_since_sent) == (140, 150)
    assert (delays["one"].last_accepted, delays["two"].last_accepted) == (20, None)
    assert worst(found.delays) == [150]
    assert (found.accepted_after, found.lost) == ([], [])
    assert (found.accepted, found.refused, found.latest) == (3, 2, {"k": 5})


def test_what_was_accepted_by_a_worker_that_had_applied_it_is_found() -> None:
    assert outcome(0, 1, 2, 4).accepted_after == ["record 2 of k on one"]
    assert outcome(0, 1, 3, 4).accepted_after == ["record 3 of k on two"]


def test_a_good_record_that_was_not_accepted_is_found() -> None:
    assert outcome(1, 4).lost == ["record 0 of k on one"]
    assert outcome(0, 1).lost == ["record 4 of good on one"]


def test_a_worker_that_never_applied_it_is_infinitely_late() -> None:
    notes = {**NOTES, "two": Notes(NOTES["two"].decided, [])}
    assert worst(judged(REVOKED, notes, PROBES, {0, 1, 4}).delays) == [float("inf")]


def test_a_record_that_nobody_decided_about_is_no_figure() -> None:
    with pytest.raises(AssertionError, match="nobody decided"):
        judged(REVOKED, NOTES, [Probe(9, "k", 0, 31, 0, 0)], set())


def test_quantiles_are_figures_that_were_measured() -> None:
    values = [float(n) for n in range(1, 201)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [100, 198, 200]
    assert quantile([7.0], 0.99) == 7


def test_every_figure_is_in_one_bucket() -> None:
    lines = histogram([-5.0, 10.0, 11.0, 999.0, 1e9])
    assert [int(line.split()[3]) for line in lines] == [2, 1, 0, 0, 0, 0, 1, 0, 0, 1]


def test_notes_are_read_as_they_were_written(tmp_path: Path) -> None:
    notebook = noted_worker._Notebook()
    notebook.decided.append(Decided(1, 2, 3, 4, 5))
    notebook.applied += [(b'{"key":"k","state":"revoked","more":1}', 6), (b"garbage", 7)]
    notebook.write(tmp_path / "notes")
    assert noted_worker.read(tmp_path / "notes") == Notes(
        [Decided(1, 2, 3, 4, 5)], [AppliedKey("k", "revoked", 6)]
    )
