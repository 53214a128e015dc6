"""Seeds of the simulation, clean; a schedule is a function of its plan alone; what fails is shrunk."""

import os
import subprocess
import sys

from tests.simulation import plan as plans
from tests.simulation.plan import planned
from tests.simulation.run import described, outcomes
from tests.simulation.schedule import simulate, undisturbed

SEEDS = range(250)


def test_no_seed_violates_an_invariant() -> None:
    with undisturbed():
        failed = [described(outcome) for outcome in outcomes(SEEDS) if outcome.violations]
    assert not failed, failed[0]


def test_a_plan_alone_decides_its_schedule() -> None:
    """Also in another process, whose strings have other hashes."""
    program = (
        (
            "from tests.simulation.run import outcomes, undisturbed\n"
            "with undisturbed():\n"
            "    print(hash_of([outcome.trace for outcome in outcomes(range(6))]))\n"
        )
        .replace("hash_of", "__import__('hashlib').sha256(repr")
        .replace("])", "]).encode()).hexdigest()")
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_a_plan_replays_from_its_text() -> None:
    plan = planned(3)
    with undisturbed():
        assert simulate(plan).trace == simulate(plans.decode(plans.encode(plan))).trace
