"""`make simulate`: many seeds on all cores, one seed again, or a plan from a file; shrinks what fails."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.simulation import plan as plans
from tests.simulation.faults import FAULTS
from tests.simulation.plan import Plan, planned
from tests.simulation.schedule import Outcome, simulate, undisturbed
from tests.simulation.shrink import shrunk

ENOUGH = 2_000  # seeds in which every fault must have struck
CHUNK = 50  # seeds a process takes at a time
SHOWN = 3  # failing seeds that are shrunk and shown


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    if options.plan is not None:
        return _replay(plans.decode(options.plan.read_bytes()), shrink=False)
    if options.seed is not None:
        return _replay(planned(options.seed), shrink=True)
    return _many(options.first, options.seeds, options.jobs)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=ENOUGH, help="how many seeds to run")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, with its trace")
    parser.add_argument("--plan", type=Path, help="a plan that an earlier run printed, with its trace")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    return parser.parse_args(arguments)


def _many(first: int, seeds: int, jobs: int) -> int:
    began = time.monotonic()
    counts: Counter[str] = Counter()
    failed: list[int] = []
    done = 0
    chunks = [range(at, min(at + CHUNK, first + seeds)) for at in range(first, first + seeds, CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        for found, failing in pool.map(_chunk, chunks):
            counts += found
            failed += failing
            done += CHUNK
            if sys.stderr.isatty():
                print(f"\r{min(done, seeds)} of {seeds} seeds, {len(failed)} failed", end="", file=sys.stderr)
    took = time.monotonic() - began
    print("\n".join(f"{counts[name]:9,}  {name:21} {fault.row}" for name, fault in FAULTS.items()))
    print(
        f"{seeds:,} seeds in {took:.0f} s: {seeds / took:.1f} seeds/s on {jobs} cores, {len(failed)} failed"
    )
    never = [name for name in FAULTS if not counts[name]]
    if never and seeds >= ENOUGH:
        print(f"never struck, so nothing was shown about them: {', '.join(never)}")
    for seed in failed[:SHOWN]:
        _replay(planned(seed), shrink=True)
    if len(failed) > SHOWN:
        print(f"failed too: {failed[SHOWN:]}")
    return 1 if failed or (never and seeds >= ENOUGH) else 0


def _chunk(seeds: range) -> tuple[Counter[str], list[int]]:
    counts: Counter[str] = Counter()
    failed = []
    with undisturbed():
        for outcome in outcomes(seeds):
            counts += outcome.counts
            if outcome.violations:
                failed.append(outcome.plan.seed)
    return counts, failed


def outcomes(seeds: Iterable[int]) -> Iterator[Outcome]:
    for seed in seeds:
        yield simulate(planned(seed))


def _replay(plan: Plan, *, shrink: bool) -> int:
    with undisturbed():
        outcome = simulate(plan)
        if outcome.violations and shrink:
            outcome = shrunk(outcome, simulate)
    print(described(outcome))
    if outcome.violations and shrink:
        kept = Path(f"failing-plan-{plan.seed}.json")
        kept.write_text(plans.encode(outcome.plan))
        print(f"again: make simulate PLAN={kept}")
    return 1 if outcome.violations else 0


def described(outcome: Outcome) -> str:
    """For a person: the schedule, the plan that leads to it, what is violated."""
    lines = [f"seed {outcome.plan.seed}: {outcome.steps} steps, {outcome.seconds:.0f} virtual seconds"]
    lines += [f"{at:9.3f}  {who:9} {what}" for at, who, what in outcome.trace]
    lines += [f"plan: {plans.encode(outcome.plan)}"]
    lines += [f"VIOLATED {kind}: {detail}" for kind, detail in outcome.violations] or ["clean"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
