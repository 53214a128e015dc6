"""The ledger protocol, searched in full, and defects that the search must find (docs/model.md)."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.model.checker import Search, run

# tests/stack/up.sh gets the checker. On a machine that is busy otherwise the longest search takes minutes
pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SAFETY = (
    "Contiguous",
    "RecordsOnce",
    "OffsetsOnce",
    "ObjectsExist",
    "NothingCommittedChanges",
    "HintBelowHead",
)

DEFECTS = (
    Search(("ObjectsExist",), "sweep_without_rule"),
    Search(("NothingCommittedChanges",), "unconditional_put"),
    Search(("Contiguous",), "advance_after_412"),
    Search(("Contiguous",), "winner_not_read"),
    Search(("ObjectsExist",), "tidied_unread"),
    Search(("HintBelowHead",), "kafka_first"),
    Search(("Contiguous",), "kafka_first"),
    Search(("Contiguous",), "kafka_believed"),
    Search(("Contiguous",), "entry_ahead"),
    Search(("ObjectsExist",), "entry_before_objects"),
    Search(("ObjectsExist",), "data_believed"),
    # one offset, so that there is one name: what is refused once is refused for ever
    Search(("Progress",), "data_as_fence", flushes=1, spare=2, end=1),
    Search(("Contiguous",), "genesis_not_read_again", max_start=1),
    Search(("RecordsOnce",), "not_closed", max_start=1, incarnations=2),
    # one writer in two lives does
    Search(("RecordsOnce",), "closing_passed", writers=1, flushes=3, max_start=1, incarnations=2),
)


def said(*numbers: object) -> None:
    print(*numbers)  # pytest shows it with -s, and when the test fails


def behave_alike(search: Search, tmp_path: Path) -> None:
    """The searches above tell views apart. One that tells all states apart must meet the same views."""
    (tmp_path / "views").mkdir()
    (tmp_path / "states").mkdir()
    views = run(search, tmp_path / "views")
    whole = replace(search, properties=(*SAFETY, "GoneForEver"), whole=True)
    states = run(whole, tmp_path / "states", count_actions=True)
    said(states.states, "states,", states.views, "views;", states.taken)
    assert views.complete
    assert states.complete
    assert states.states > states.views == views.states
    # what is never done proves nothing; faults end (Settle) in the test above
    assert {action for action, times in states.taken.items() if times == 0} == {"Settle"}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.mutant}-{defect.properties[0]}")
def test_each_defect_is_found(defect: Search, tmp_path: Path) -> None:
    found = run(defect, tmp_path)
    assert (found.violated,) == defect.properties
    assert found.counterexample
    steps = " ".join(found.counterexample)
    said(f"{defect.mutant}: {found.violated} violated in {len(found.counterexample)} steps: {steps}")


def test_three_writers_of_two_flushes_do_no_harm(tmp_path: Path) -> None:
    found = run(Search(SAFETY, writers=3), tmp_path, long=True)
    said(found.states, "states")
    assert found.complete
    assert found.states == 72_600  # a search that suddenly visits less no longer searches this model


def test_a_chain_is_opened_and_closed_and_the_next_one_opened(tmp_path: Path) -> None:
    found = run(Search(SAFETY, max_start=1, incarnations=2), tmp_path, long=True)
    said(found.states, "states")
    assert found.complete
    assert found.states == 12_606


def test_whenever_faults_end_the_log_is_archived(tmp_path: Path) -> None:
    found = run(Search(("Progress",), flushes=1, spare=2, end=1), tmp_path, long=True)
    said(found.states, "states")
    assert found.complete
    assert found.states == 1_352


def test_states_that_are_not_told_apart_behave_alike(tmp_path: Path) -> None:
    behave_alike(Search(SAFETY, writers=1, max_start=1, incarnations=2), tmp_path)


def test_not_to_read_the_winner_costs_a_batch_but_no_record(tmp_path: Path) -> None:
    """412 taken for another's without a look: our entry counts nevertheless, and the next claim finds it."""
    found = run(Search(SAFETY, "fenced_unread", flushes=1), tmp_path)
    said(found.states, "states")
    assert found.complete
