"""Each deliberate defect in the product's code is found, and again by the plan that it was shrunk to."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.simulation import plan as plans
from tests.simulation.defects import append_unconditionally
from tests.simulation.find import DEFECTS, RARE, failing
from tests.simulation.schedule import simulate, undisturbed
from tests.simulation.shrink import shrunk


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_found(defect: Callable[[], AbstractContextManager[None]]) -> None:
    assert next(failing(defect, RARE.get(defect.__name__, 0)), None)


def test_what_failed_is_shrunk_to_a_plan_that_fails_alone() -> None:
    failed = next(failing(append_unconditionally))
    with undisturbed(), append_unconditionally():
        small = shrunk(failed, simulate)
        again = simulate(plans.decode(plans.encode(small.plan)))
    assert again.violations == small.violations != ()
    assert len(small.plan.faults) + len(small.plan.produced) < 6
    with undisturbed():
        assert not simulate(small.plan).violations
