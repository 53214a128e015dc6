"""Does a series of measurements grow? A straight line through it, with what the noise leaves open.

Samples a few seconds apart are not independent (a buffer fills and is flushed): their means over forty equal
stretches nearly are, so the line is fitted to those.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

BLOCKS = 40
T_95 = 2.024  # Student's t, two-sided 95 %, for 38 degrees of freedom


@dataclass(frozen=True, slots=True)
class Trend:
    """Of one series, in its own unit. Growth is what the line rises by from the first to the last sample."""

    level: float  # the median
    growth: float
    low: float  # growth's 95 % confidence interval
    high: float
    robust: float  # growth by Theil and Sen's slope, which outliers do not move
    noise: float  # standard deviation of the stretches' means around the line
    allowed: float

    @property
    def flat(self) -> bool:
        """No growth that stands out of the noise and matters, and no noise that could hide one."""
        stands_out = self.low > 0 and self.growth > self.allowed
        return not stands_out and self.high <= 2 * self.allowed

    def facts(self) -> dict[str, float | bool]:
        return {**{name: round(value, 3) for name, value in asdict(self).items()}, "flat": self.flat}


def trend(at: Sequence[float], values: Sequence[float], allowed: float) -> Trend:
    """`at` in seconds, ascending and evenly spread; at least 40 samples. A growth up to `allowed` is none."""
    edges = [len(at) * block // BLOCKS for block in range(BLOCKS + 1)]
    stretches = [slice(begin, end) for begin, end in pairwise(edges)]
    x = [statistics.fmean(at[stretch]) for stretch in stretches]
    y = [statistics.fmean(values[stretch]) for stretch in stretches]
    line = statistics.linear_regression(x, y)
    residuals = [value - line.slope * when - line.intercept for when, value in zip(x, y, strict=True)]
    noise = (sum(residual**2 for residual in residuals) / (BLOCKS - 2)) ** 0.5
    middle = statistics.fmean(x)
    error = noise / sum((when - middle) ** 2 for when in x) ** 0.5
    slopes = [(y[b] - y[a]) / (x[b] - x[a]) for b in range(BLOCKS) for a in range(b)]
    span = at[-1] - at[0]
    return Trend(
        level=statistics.median(values),
        growth=line.slope * span,
        low=(line.slope - T_95 * error) * span,
        high=(line.slope + T_95 * error) * span,
        robust=statistics.median(slopes) * span,
        noise=noise,
        allowed=allowed,
    )
