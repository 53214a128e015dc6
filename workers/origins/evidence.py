"""Kinds of evidence for and against a copy, each a pure figure (docs/origins.md, What the judge weighs)."""

import math
from collections.abc import Iterable, Mapping

from workers.origins.sketches import Sketch

Z95 = 1.959963984540054  # standard normal, two-sided 95%
RISE = 5.0  # by how much more traffic than usual the volume is an alarm: μ1/μ0
ALARM_LEAST = 10.0  # records beyond the usual


def wilson(successes: int, trials: int) -> float:
    """Lower bound of the 95% score interval of a share (Wilson 1927): 5/5 → 0.57, 10/10 → 0.72."""
    if trials == 0:
        return 0.0
    share, z2 = successes / trials, Z95 * Z95
    spread = Z95 * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max(0.0, (share + z2 / (2 * trials) - spread) / (1 + z2 / trials))


def content_match(pages: Sketch, own_pages: Sketch) -> tuple[int, int, float]:
    """Pages of the host that could be told, those of them that are the customer's too, and Wilson's bound."""
    trials, found = pages.compared(own_pages)
    return trials, found, wilson(found, trials)


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def concentration(counts: Mapping[str, int], own: Mapping[str, int]) -> float:
    """The share of the host's largest network or user agent; 0 if it is large among own visitors too.

    Half of all visitors may well have the same browser: then it says nothing that a host's have it.
    """
    total = sum(counts.values())
    if not total:
        return 0.0
    name, most = max(counts.items(), key=lambda item: (item[1], item[0]))
    usual = share(own.get(name, 0), sum(own.values()))
    largest = most / total
    return largest if usual < largest / 2 else 0.0


def poisson_reference(usual: float, raised: float) -> float:
    """k of the Poisson CUSUM: (μ1-μ0)/ln(μ1/μ0) (Lucas 1985). Records an interval; 0 < usual < raised."""
    return (raised - usual) / math.log(raised / usual)


def cusum(counts: Iterable[int], usual: float) -> float:
    """CUSUM of intervals' counts against RISE times the usual one, over its threshold: 1 is an alarm."""
    k = poisson_reference(usual, usual * RISE)
    threshold = max(ALARM_LEAST, 3 * k)
    total = 0.0
    for count in counts:
        total = max(0.0, total + count - k)
    return total / threshold
