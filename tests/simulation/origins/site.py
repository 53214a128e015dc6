"""A customer's site: its pages, its visitors, and what their browsers send. All from one seed."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

HOUR, DAY = 3_600_000, 86_400_000  # ms
BEGIN = 1_767_225_600_000  # 2026-01-01: when the judge begins to learn
LEARNT = BEGIN + 22 * DAY  # learning and shadow are over
WORDS = [
    *("amber", "basket", "candle", "desert", "ember", "falcon", "garden", "harbor", "island", "jasmine"),
    *("kettle", "lantern", "meadow", "nectar", "orchard", "pebble", "quartz", "ribbon", "saddle", "timber"),
    *("umbrella", "velvet", "willow", "yonder", "zephyr", "anchor", "bronze", "copper", "drawer", "engine"),
]
BRANDS = ["bluekettle", "norwood-supply", "tidewater", "fernandhale", "papermoon", "oakridge", "mapleforge"]
BROWSERS = tuple(
    f"Mozilla/5.0 ({system}) {engine}/{version}.0.0.0"
    for system in (
        "Windows NT 10.0; Win64; x64",
        "iPhone; CPU iPhone OS 18_5",
        "Linux; Android 10; K",
        "Macintosh",
    )
    for engine, version in (("Chrome", 141), ("Chrome", 140), ("Safari", 26), ("Firefox", 144))
)


class Page(NamedTuple):
    path: str
    title: str


class Visitor(NamedTuple):
    anonymous: str
    user: str | None
    ip: str
    browser: str


class Hit(NamedTuple):
    """One page view as the collector sees it."""

    at: int  # ms
    origin: str | None
    referer: str | None
    url: str
    referrer: str
    page: Page
    visitor: Visitor


@dataclass
class Site:
    """`rate` in records a second on average over a day; `signed_in` is a share of visitors."""

    seed: int
    brand: str
    domain: str
    host: str
    pages: Sequence[Page]
    popularity: Sequence[float]  # cumulated
    visitors: Sequence[Visitor]
    rate: float
    signed_in: float
    allowed: tuple[str, ...]
    write_key: str = field(default="k" * 32)

    def page(self, rng: random.Random, among: int | None = None) -> Page:
        """One by popularity; of the first `among`."""
        bound = self.popularity[(among or len(self.pages)) - 1]
        at, count = rng.random() * bound, among or len(self.pages)
        low, high = 0, count - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self.popularity[middle] < at else (low, middle)
        return self.pages[low]

    def volume(self, at: int) -> float:
        """Records a second at that hour: by night a quarter of what comes by day."""
        hour = at // HOUR % 24
        return self.rate * (1.3 if 7 <= hour < 23 else 0.35)


def made_site(seed: int, *, exact: bool = False, signed_in: bool = False) -> Site:
    """`exact`: it lists its one host, and no pattern. `signed_in`: some of its visitors are, in any case."""
    rng = random.Random(f"site {seed}")
    brand = rng.choice(BRANDS)
    domain = f"{brand}.{rng.choice(['com', 'co.uk', 'shop', 'de'])}"
    count = rng.choice([60, 200, 800])
    pages = [Page("/", f"{brand.title()} home")]
    while len(pages) < count:
        slug = "-".join(rng.sample(WORDS, 3))
        folder = rng.choice(["/blog/", "/products/", "/help/"])
        pages.append(Page(f"{folder}{slug}-{len(pages)}", slug.replace("-", " ").title()))
    share = rng.choice([0.0, 0.1, 0.3]) or (0.2 if signed_in else 0.0)
    visitors = [new_visitor(rng, share, f"{seed}-own-{n}") for n in range(rng.choice([2000, 8000]))]
    return Site(
        seed=seed,
        brand=brand,
        domain=domain,
        host=f"www.{domain}",
        pages=pages,
        popularity=list(accumulate(1 / (rank + 5) for rank in range(count))),
        visitors=visitors,
        rate=rng.choice([1.0, 2.0, 4.0]),
        signed_in=share,
        allowed=(f"www.{domain}",) if exact else (f"[*.]{domain}",),
    )


def new_visitor(rng: random.Random, signed_in: float, name: str) -> Visitor:
    network = min(3000, int(rng.paretovariate(0.35)))  # a few carriers have many
    ip = f"{11 + network // 250}.{network % 250}.7.{rng.randrange(1, 255)}"
    browser = BROWSERS[min(len(BROWSERS) - 1, int(rng.expovariate(0.35)))]
    user = f"user-{name}" if rng.random() < signed_in else None
    return Visitor(f"anon-{name}", user, ip, browser)


Dressed = Callable[
    [int, Visitor, Page, Page | None], Hit
]  # at, who, what, and from which page of the same host


def on_host(host: str, claims: str | None = None, scheme: str = "https") -> Dressed:
    """Hits of pages on `host`, which say that they are on `claims`, or on their own."""

    def dress(at: int, visitor: Visitor, page: Page, previous: Page | None) -> Hit:
        here = f"{scheme}://{host}"
        referrer = f"{here}{previous.path}" if previous else "https://www.google.com/"
        url = f"https://{claims}{page.path}" if claims else f"{here}{page.path}"
        return Hit(at, here, f"{here}/", url, referrer, page, visitor)

    return dress


def session(
    rng: random.Random, at: int, visitor: Visitor, pages: Callable[[], Page], dress: Dressed, mean: float
) -> Iterator[Hit]:
    """One visit: `mean` pages on average, some 20 s apart."""
    previous = None
    while True:
        page = pages()
        yield dress(at, visitor, page, previous)
        if rng.random() < 1 - 1 / mean:
            previous, at = page, at + int(rng.expovariate(1 / 20_000)) + 1000
        else:
            return


def arrivals(rng: random.Random, start: int, end: int, volume: Callable[[int], float]) -> Iterator[int]:
    """Times in ms of a Poisson process with `volume(at)` a second."""
    at = start
    while True:
        rate = max(volume(at), 1e-9)
        at += int(rng.expovariate(rate) * 1000) + 1
        if at >= end:
            return
        yield at


def own_traffic(
    site: Site, rng: random.Random, start: int, end: int, dress: Dressed | None = None
) -> Iterator[Hit]:
    """Visits of its own host, 3 pages each."""
    for at in arrivals(rng, start, end, lambda at: site.volume(at) / 3):
        yield from session(
            rng, at, rng.choice(site.visitors), lambda: site.page(rng), dress or on_host(site.host), 3
        )
