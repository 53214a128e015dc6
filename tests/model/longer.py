"""The searches that take longest: `make model` makes them too, the tests make each in a smaller form."""

from pathlib import Path

import pytest

from tests.model.checker import Search, run
from tests.model.test_model import SAFETY, behave_alike, said

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def test_two_writers_of_a_longer_log_do_no_harm(tmp_path: Path) -> None:
    found = run(Search(SAFETY, end=3), tmp_path, long=True)
    said(found.states, "states")
    assert found.complete
    assert found.states == 15_571


def test_whenever_faults_end_a_log_of_two_offsets_is_archived(tmp_path: Path) -> None:
    """Two offsets: late entries of the others may fence the one that is left twice."""
    found = run(Search(("Progress",), flushes=1, spare=3), tmp_path, long=True)
    said(found.states, "states")
    assert found.complete
    assert found.states == 27_732


def test_states_of_two_writers_that_are_not_told_apart_behave_alike(tmp_path: Path) -> None:
    behave_alike(Search(SAFETY, flushes=1, max_start=1, incarnations=2), tmp_path)
