"""`python -m tests.simulation.find [NAME ...]`: the first seed that finds each deliberate defect, and how."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from tests.simulation import defects, loss_defects, unit_defects
from tests.simulation.run import ENOUGH, outcomes
from tests.simulation.schedule import Outcome, undisturbed

DEFECTS = (*defects.DEFECTS, *loss_defects.DEFECTS, *unit_defects.DEFECTS)
# where a search that is in a hurry begins; it still goes through all seeds
RARE = {
    "believe_a_412": 113,
    "advance_after_anothers_entry": 113,
    "own_genesis": 401,
    "close_unconditionally": 147,
    "lose_without_a_count": 87,
    "pass_over_other_topics": 59,
    "sweep_what_may_be_listed": 19,
}


def failing(defect: Callable[[], AbstractContextManager[None]], begin: int = 0) -> Iterator[Outcome]:
    """Outcomes that show the defect, of seeds from `begin` on and then of those before."""
    seeds = [*range(begin, ENOUGH), *range(begin)]
    with undisturbed(), defect():
        yield from (outcome for outcome in outcomes(seeds) if outcome.violations)


def main(names: list[str]) -> int:
    missed = 0
    for defect in DEFECTS:
        if names and defect.__name__ not in names:
            continue
        began = time.monotonic()
        found = next(failing(defect), None)
        missed += found is None
        where = f"not in {ENOUGH} seeds"
        if found is not None:
            where = f"seed {found.plan.seed:4} by {found.violations[0][0]}"
        print(f"{defect.__name__:30} {where:30} {time.monotonic() - began:5.1f} s", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
