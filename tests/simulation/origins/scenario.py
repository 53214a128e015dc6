"""What a scenario is: traffic beside, or instead of, a site's own, and which of its hosts are copies."""

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.simulation.origins.site import LEARNT, Dressed, Hit, Site, Visitor, arrivals, new_visitor, session

MINUTE, HOUR = 60_000, 3_600_000  # ms


class Traffic(NamedTuple):
    hits: Iterable[Hit]  # in any order
    copies: frozenset[str] = frozenset()
    own: bool = True  # whether the site's own goes on beside it
    minutes: int = 40  # from LEARNT on


class Scenario(NamedTuple):
    name: str
    words: str
    traffic: Callable[[random.Random, Site], Traffic]
    exact: bool = False  # the site lists its one host, not all below its domain
    signed_in: bool = False  # some of the site's visitors are signed in, in any case


def start_of(rng: random.Random) -> int:
    """Some hour of a day behind the learning, so that night and day are judged."""
    return LEARNT + rng.randrange(24) * HOUR + rng.randrange(10) * MINUTE


def audience(
    rng: random.Random,
    site: Site,
    dress: Dressed,
    *,
    start: int,
    minutes: float,
    every: float,
    pages: int | None = None,
    mean: float = 1.4,
    signed_in: float = 0.0,
    who: Callable[[int], Visitor] | None = None,
) -> list[Hit]:
    """Visits of fresh visitors, one `every` so many seconds, who see `mean` of the first `pages`."""
    hits: list[Hit] = []
    for number, at in enumerate(arrivals(rng, start, start + int(minutes * MINUTE), lambda _: 1 / every)):
        visitor = who(number) if who else new_visitor(rng, signed_in, f"{site.seed}-{rng.random()}")
        hits += session(rng, at, visitor, lambda: site.page(rng, pages), dress, mean)
    return hits
