"""Draws a soak's samples: memory, threads and files, the rate, and how far the worker is behind."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl

mpl.use("agg")  # no screen
from matplotlib import pyplot as plt  # must come after the choice of a back end

from tests.benchmarks.soak_samples import Sample

MIB = 2**20


def draw(samples: Sequence[Sample], warm_up: float, rate: int, title: str, file: Path) -> None:
    """`warm_up` in seconds: grey; what follows is what was judged. `rate` in records/s: what was asked."""
    minutes = [sample.seconds / 60 for sample in samples]
    figure, (memory, counts, speed, behind) = plt.subplots(4, 1, sharex=True, figsize=(10, 11))
    memory.plot(minutes, [sample.rss / MIB for sample in samples], label="RSS")
    memory.plot(minutes, [sample.anonymous / MIB for sample in samples], label="anonymous", lw=0.8)
    memory.plot(minutes, [sample.buffered / MIB for sample in samples], label="buffered, plain bytes", lw=0.8)
    memory.set_ylabel("MiB")
    counts.plot(minutes, [sample.threads for sample in samples], label="threads")
    counts.plot(minutes, [sample.files for sample in samples], label="open files")
    counts.set_ylabel("count")
    pairs = list(pairwise(samples))
    for name, of in (("taken", 6), ("archived", 7)):
        rates = [(b[of] - a[of]) / (b.seconds - a.seconds) / 1000 for a, b in pairs]
        speed.plot(minutes[1:], rates, label=name, lw=0.8)
    speed.axhline(rate / 1000, color="black", lw=0.8, ls=":", label="asked")
    speed.set_ylabel("thousand records/s")
    unarchived = [sample.behind / 1e6 for sample in samples]
    behind.plot(minutes, unarchived, label="in the log, not in the ledger")
    behind.plot(minutes, [sample.lag / 1e6 for sample in samples], label="not fetched", lw=0.8)
    behind.set_ylabel("million records")
    behind.set_xlabel("minutes")
    for axes in (memory, counts, speed, behind):
        axes.axvspan(0, warm_up / 60, color="0.93")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right", fontsize="small")
    figure.suptitle(title, fontsize="small", wrap=True)
    figure.tight_layout()
    figure.savefig(file, dpi=90)
