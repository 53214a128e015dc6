"""Each deliberate defect in the product's code is found, and again by the plan that it was shrunk to."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.simulation import plan as plans
from tests.simulation.defects import DEFECTS, append_unconditionally
from tests.simulation.run import outcomes
from tests.simulation.schedule import simulate, undisturbed
from tests.simulation.shrink import shrunk

ENOUGH = 2_000  # seeds


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_found(defect: Callable[[], AbstractContextManager[None]]) -> None:
    with undisturbed(), defect():
        assert any(outcome.violations for outcome in outcomes(range(ENOUGH)))


def test_what_failed_is_shrunk_to_a_plan_that_fails_alone() -> None:
    with undisturbed(), append_unconditionally():
        failed = next(outcome for outcome in outcomes(range(ENOUGH)) if outcome.violations)
        small = shrunk(failed, simulate)
        again = simulate(plans.decode(plans.encode(small.plan)))
    assert again.violations == small.violations != ()
    assert len(small.plan.faults) + len(small.plan.produced) < 6
    with undisturbed():
        assert not simulate(small.plan).violations
