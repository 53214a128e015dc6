"""How well the judge judges: every scenario with many seeds, and the curve over the pages' threshold.

`python -m tests.simulation.origins.report --seeds 100` writes the report and its plot into docs/evidence.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.simulation.origins import benign, hostile
from tests.simulation.origins.run import Outcome, outcomes
from tests.simulation.origins.scenario import Scenario
from workers.origins.weighing import Rules

WITHIN = 300_000  # ms from the tenth page to the verdict
RECALL = 0.95
ABOVE = "../"  # from there to docs
EVIDENCE = Path(__file__).parents[3] / "docs/evidence"
ALL: dict[str, Scenario] = {
    scenario.name: scenario for scenario in (*benign.BENIGN, *hostile.HOSTILE, *benign.HARD, *hostile.HARD)
}
THRESHOLDS = (0.0, 0.2, 0.4, 0.6, 0.7, 0.75, 0.8, 0.9)
CURVE = tuple(Rules(match=threshold) for threshold in THRESHOLDS)
CURVED = 10  # the curve is of every tenth seed


class Row(NamedTuple):
    """One scenario over all its seeds."""

    scenario: Scenario
    outcomes: Sequence[Outcome]

    @property
    def quarantined(self) -> int:
        return sum(outcome.quarantined for outcome in self.outcomes)

    @property
    def wrong(self) -> int:
        """Seeds in which a host that is no copy was quarantined."""
        return sum(outcome.quarantined > 0 for outcome in self.outcomes)

    @property
    def in_time(self) -> list[bool]:
        return [found for outcome in self.outcomes for found in outcome.in_time(WITHIN)]

    @property
    def recall(self) -> float:
        return share(sum(self.in_time), len(self.in_time))

    @property
    def seconds(self) -> list[float]:
        """From the tenth page to the verdict."""
        return sorted(
            (copy.verdict - copy.tenth) / 1000
            for outcome in self.outcomes
            for copy in outcome.copies
            if copy.verdict is not None and copy.tenth is not None
        )

    @property
    def held(self) -> dict[str, int]:
        """Why hosts were held back, each reason once a seed."""
        counts: dict[str, int] = {}
        for outcome in self.outcomes:
            for why in {why for conclusion in outcome.conclusions for why in conclusion.held}:
                counts[why] = counts.get(why, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


def share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0


def rows(names: Iterable[str], found: Sequence[Outcome]) -> list[Row]:
    return [Row(ALL[name], [each for each in found if each.scenario == name]) for name in names]


def simulated(seeds: range, jobs: int) -> list[list[Outcome]]:
    """Of every seed and scenario the outcome under the usual rules; of some those under CURVE too.

    SIGINT ends it: the report is then of the seeds that are done.
    """
    done = []
    with ProcessPoolExecutor(jobs) as pool:
        try:
            for number, found in enumerate(pool.map(_of_seed, seeds), 1):
                done += found
                print(f"{number} of {len(seeds)} seeds", file=sys.stderr)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
    return done


def _of_seed(seed: int) -> list[list[Outcome]]:
    rules = (Rules(), *(CURVE if seed % CURVED == 0 else ()))
    return [outcomes(scenario, seed, rules) for scenario in ALL.values()]


def curve(found: Sequence[Sequence[Outcome]]) -> list[tuple[float, float, float]]:
    """Threshold, share of benign runs with a wrong verdict, share of copies caught in time."""
    points = []
    found = [runs for runs in found if len(runs) > 1]
    for number, threshold in enumerate(THRESHOLDS, 1):
        wrong = [runs[number].quarantined > 0 for runs in found if _is(runs, benign.BENIGN)]
        caught = [hit for runs in found if _is(runs, hostile.HOSTILE) for hit in runs[number].in_time(WITHIN)]
        points.append((threshold, share(sum(wrong), len(wrong)), share(sum(caught), len(caught))))
    return points


def _is(runs: Sequence[Outcome], group: Iterable[Scenario]) -> bool:
    return runs[0].scenario in {scenario.name for scenario in group}


def failures(good: Sequence[Row], bad: Sequence[Row]) -> list[str]:
    """What misses the goal, in words."""
    missed = [
        f"{row.scenario.name}: {row.quarantined} records quarantined in {row.wrong} seeds"
        for row in good
        if row.quarantined
    ]
    caught = [found for row in bad for found in row.in_time]
    if share(sum(caught), len(caught)) < RECALL:
        missed.append(f"recall {share(sum(caught), len(caught)):.3f}")
    return missed


def tables(found: Sequence[Sequence[Outcome]], command: str, took: float) -> str:
    usual = [runs[0] for runs in found]
    good = rows((scenario.name for scenario in benign.BENIGN), usual)
    bad = rows((scenario.name for scenario in hostile.HOSTILE), usual)
    hard = rows((scenario.name for scenario in (*hostile.HARD, *benign.HARD)), usual)
    caught = [hit for row in bad for hit in row.in_time]
    right = sum(copy.verdict is not None for outcome in usual for copy in outcome.copies)
    wrong = sum(row.wrong for row in good)
    lines = [
        "# Origins: what the judge catches and spares",
        "",
        f"`{command}`: seeds 0 to {max(each.seed for each in usual)}, {len(usual)} runs, {took:.0f} s. "
        "Written by that command, not by hand.",
        "",
        "Every run is a site of its own (60 to 800 pages, 1 to 4 records a second on average, by day and by",
        "night, with and without users who sign in), three weeks of which the judge has seen, and one",
        "scenario beside its traffic. Records are raw envelopes; who the witness is, what is the customer's",
        "own and what is a re-host is decided by the archive's code. Simulated time throughout; observations",
        "are sent every 15 s.",
        "Of own records one in 64 is looked at, so of the three weeks only those were made, and 40 an hour.",
        "",
        f"- Benign: **{sum(row.quarantined for row in good)} records quarantined** in "
        f"{sum(len(row.outcomes) for row in good)} runs.",
        "- Hostile: verdict within 5 minutes of the tenth page for "
        f"**{share(sum(caught), len(caught)):.1%}** of {len(caught)} copies (goal {RECALL:.0%}). "
        "Precision over both, by hosts: "
        f"{share(right, right + wrong):.3f}.",
        "",
        "| benign | | records quarantined | held back because (share of runs) |",
        "|---|---|---|---|",
        *(_benign_line(row) for row in good),
        "",
        "| hostile | | copies | in time | seconds from the tenth page: median, 95% | records caught |",
        "|---|---|---|---|---|---|",
        *(_hostile_line(row) for row in bad),
        "",
        "## What it can't do",
        f"Outside the goal, as they can't meet it: [What the judge weighs]({ABOVE}origins.md).",
        "",
        "| | | copies | in time | seconds: median, 95% | records caught | records wrongly quarantined |",
        "|---|---|---|---|---|---|---|",
        *(
            f"{_hostile_line(row)} {row.quarantined} in {row.wrong} of {len(row.outcomes)} runs |"
            for row in hard
        ),
        "",
        "## The threshold",
        "The bound of the content match is 0.7. With another, and all other rules as they are, in every "
        f"{CURVED}th seed:",
        "",
        "| Wilson's bound | benign runs with a quarantine | copies caught in time |",
        "|---|---|---|",
        *(f"| {threshold:.2f} | {false:.2%} | {true:.1%} |" for threshold, false, true in curve(found)),
        "",
        "![The curve](origins.png)",
        "",
    ]
    return "\n".join(lines)


def _benign_line(row: Row) -> str:
    runs = len(row.outcomes)
    held = (
        ", ".join(f"`{why}` {count / runs:.0%}" for why, count in list(row.held.items())[:4])
        or "never suspect"
    )
    return f"| `{row.scenario.name}` | {row.scenario.words} | {row.quarantined} | {held} |"


def _hostile_line(row: Row) -> str:
    seconds = row.seconds
    times = f"{median(seconds):.0f}, {seconds[int(len(seconds) * 0.95)]:.0f}" if seconds else "-"
    caught = sum(outcome.caught for outcome in row.outcomes)
    records = caught + sum(outcome.missed for outcome in row.outcomes)
    copies = len(row.in_time)
    return (
        f"| `{row.scenario.name}` | {row.scenario.words} | {copies} | {row.recall:.1%} | {times} | "
        f"{share(caught, records):.0%} |"
    )


def draw(points: Sequence[tuple[float, float, float]], file: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - the test of a few seeds does without

    mpl.use("agg")  # no screen
    from matplotlib import pyplot as plt  # noqa: PLC0415 - see above

    figure, axes = plt.subplots(figsize=(6, 5))
    axes.plot([false for _, false, _ in points], [true for *_, true in points], marker="o", lw=0.8)
    for threshold, false, true in points:
        axes.annotate(f"{threshold:g}", (false, true), textcoords="offset points", xytext=(6, -10))
    axes.set_xlabel("share of benign runs with a quarantine")
    axes.set_ylabel("share of copies caught within 5 minutes of the tenth page")
    axes.set_title("Thresholds of Wilson's bound", fontsize="medium")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, dpi=90)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.origins.report", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--into", type=Path, default=EVIDENCE, help="folder of the report and the plot")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    found = simulated(range(options.seeds), options.jobs)
    command = f"python -m tests.simulation.origins.report --seeds {options.seeds}"
    text = tables(found, command, time.monotonic() - began)
    options.into.mkdir(parents=True, exist_ok=True)
    (options.into / "origins.md").write_text(text)
    draw(curve(found), options.into / "origins.png")
    print(text)
    usual = [runs[0] for runs in found]
    missed = failures(
        rows((scenario.name for scenario in benign.BENIGN), usual),
        rows((scenario.name for scenario in hostile.HOSTILE), usual),
    )
    print("\n".join(missed), file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
