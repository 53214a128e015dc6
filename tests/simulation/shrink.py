"""Makes a failing plan smaller while it still fails in the same way: a person is to read it."""

from collections.abc import Callable, Iterator

import msgspec

from tests.simulation.plan import Plan
from tests.simulation.schedule import Outcome

RUNS = 600  # schedules at most
SCHEDULES = 4  # seeds tried of each smaller plan: what is left out shifts every turn behind it

replace = msgspec.structs.replace


def shrunk(failed: Outcome, run: Callable[[Plan], Outcome]) -> Outcome:
    """The smallest failing outcome that was found. `run` is `simulate`."""
    kinds = {kind for kind, _ in failed.violations}
    left = RUNS

    def fails(plan: Plan) -> Outcome | None:
        nonlocal left
        for number in range(SCHEDULES):
            if left == 0:
                return None
            left -= 1
            outcome = run(replace(plan, seed=plan.seed + number * 1_000_003))
            if kinds & {kind for kind, _ in outcome.violations}:
                return outcome
        return None

    smaller = True
    while smaller and left:
        smaller = False
        for candidate in _smaller(failed.plan):
            outcome = fails(candidate)
            if outcome is not None:
                failed, smaller = outcome, True
                break
    return failed


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them, those with much less first."""
    for size in (len(plan.faults) // 2, 1):
        for at in range(0, len(plan.faults), max(1, size)):
            yield replace(plan, faults=(*plan.faults[:at], *plan.faults[at + max(1, size) :]))
    for size in (len(plan.produced) // 2, 1):
        for at in range(0, len(plan.produced), max(1, size)):
            yield replace(plan, produced=(*plan.produced[:at], *plan.produced[at + max(1, size) :]))
    if plan.writers > 1:
        yield replace(plan, writers=plan.writers - 1)
    if plan.partitions > 1:
        yield replace(plan, partitions=plan.partitions - 1, starts=plan.starts[:-1])
    for at, what in enumerate(plan.produced):
        simple = replace(what, kinds=("whale",), transaction="", lasts=0.0, broker_time=True)
        if simple != what:
            yield replace(plan, produced=(*plan.produced[:at], simple, *plan.produced[at + 1 :]))
    if plan.patience is not None:
        yield replace(plan, patience=None)
    if plan.drain:
        yield replace(plan, drain=False)
