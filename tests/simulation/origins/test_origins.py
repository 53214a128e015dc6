"""Every benign and hostile scenario with one seed; `make simulate-origins` runs a hundred."""

import pytest

from tests.simulation.origins.benign import BENIGN
from tests.simulation.origins.hostile import HOSTILE
from tests.simulation.origins.report import WITHIN, failures, rows
from tests.simulation.origins.run import Outcome, simulate
from tests.simulation.origins.scenario import Scenario
from workers.origins.weighing import Rules

SEED = 37  # a small site, some of whose visitors sign in


@pytest.mark.parametrize("scenario", BENIGN, ids=lambda scenario: scenario.name)
def test_what_looks_like_a_copy_is_spared(scenario: Scenario) -> None:
    assert simulate(scenario, SEED).quarantined == 0


@pytest.mark.parametrize("scenario", HOSTILE, ids=lambda scenario: scenario.name)
def test_a_copy_is_caught_in_time(scenario: Scenario) -> None:
    outcome = simulate(scenario, SEED)
    in_time = outcome.in_time(WITHIN)
    assert sum(in_time) >= 0.9 * len(in_time)
    assert outcome.caught
    assert outcome.quarantined == 0


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(HOSTILE[0], SEED) == simulate(HOSTILE[0], SEED)


def test_without_its_rules_the_judge_takes_a_preview_for_a_copy() -> None:
    """Else the scenarios would show nothing."""
    preview = next(scenario for scenario in BENIGN if scenario.name == "agency_preview")
    assert simulate(preview, SEED, Rules(visitors=1, pages_a_visitor=1000.0, networks=1)).quarantined


def test_a_report_names_what_misses_the_goal() -> None:
    wrong = Outcome(BENIGN[0].name, 1, (), 7, 0, 0, ())
    assert failures(rows([BENIGN[0].name], [wrong]), []) == [
        f"{BENIGN[0].name}: 7 records quarantined in 1 seeds"
    ]
