"""Draws what a benchmark has measured: one curve above the other, over the same points."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl

mpl.use("agg")  # no screen
from matplotlib import pyplot as plt  # must come after the choice of a back end


class Series(NamedTuple):
    name: str
    values: Sequence[float]
    logarithmic: bool = False


def draw(file: Path, title: str, across: str, points: Sequence[int], series: Sequence[Series]) -> None:
    """`points` are spread by their logarithm."""
    figure, rows = plt.subplots(
        len(series), 1, sharex=True, figsize=(8, 2.2 * len(series) + 1), squeeze=False
    )
    for axes, each in zip(rows[:, 0], series, strict=True):
        axes.plot(points, each.values, marker="o")
        axes.set_ylabel(each.name, fontsize="small")
        axes.set_xscale("log")
        axes.set_xticks(points, [f"{point:,}" for point in points])
        axes.minorticks_off()
        if each.logarithmic:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    rows[-1, 0].set_xlabel(across)
    figure.suptitle(title, fontsize="small", wrap=True)
    figure.tight_layout()
    figure.savefig(file, dpi=80)
