"""Scraped copies, posted elsewhere, with the customer's snippet in them."""

import random

from tests.simulation.origins.scenario import Scenario, Traffic, audience, start_of
from tests.simulation.origins.site import Hit, Page, Site, Visitor, on_host

COPY = "daily-bargain-reads.com"


def _paced(site: Site, start: int) -> float:
    """Seconds between visits: 1 to 2% of what the site has itself."""
    return 80.0 / max(site.volume(start), 0.2)


def _minutes(every: float) -> int:
    """Of so many a campaign has 40 visits."""
    return max(40, int(every * 40 / 60))


def _campaign(
    rng: random.Random, site: Site, *hosts: str, claims: str | None = None, slower: float = 1.0
) -> Traffic:
    start = start_of(rng)
    hits: list[Hit] = []
    copied = max(30, int(len(site.pages) * rng.uniform(0.3, 1)))
    every = _paced(site, start) * slower
    minutes = _minutes(every)
    for host in hosts:
        hits += audience(
            rng, site, on_host(host, claims), start=start, minutes=minutes, every=every, pages=copied
        )
    return Traffic(hits, frozenset(hosts), minutes=minutes)


def _absolute(rng: random.Random, site: Site) -> Traffic:
    return _campaign(rng, site, COPY, claims=site.host)


def _relative(rng: random.Random, site: Site) -> Traffic:
    return _campaign(rng, site, COPY)


def _none(rng: random.Random, site: Site) -> Traffic:
    """Nothing but the address says where the page is: some visits come with a campaign's parameters."""
    traffic = _campaign(rng, site, COPY)
    hits = [
        hit._replace(url=f"{hit.url}?utm_source=mail") if rng.random() < 0.5 else hit for hit in traffic.hits
    ]
    return traffic._replace(hits=hits)


def _headerless(rng: random.Random, site: Site) -> Traffic:
    traffic = _campaign(rng, site, COPY)
    return traffic._replace(hits=[hit._replace(origin=None, referer=None) for hit in traffic.hits])


def _lookalike(rng: random.Random, site: Site) -> Traffic:
    brand = site.brand
    at = rng.randrange(1, len(brand) - 1)
    name = rng.choice(
        [brand[:at] + brand[at] + brand[at:], brand[:at] + brand[at + 1 :], f"{brand}-outlet", f"my{brand}"]
    )
    return _campaign(rng, site, f"www.{name}.net", claims=rng.choice([site.host, None]))


def _shared_suffix(rng: random.Random, site: Site) -> Traffic:
    return _campaign(rng, site, "weekend-finds.pages.dev", claims=rng.choice([site.host, None]))


def _slow(rng: random.Random, site: Site) -> Traffic:
    return _campaign(rng, site, COPY, claims=site.host, slower=3)


def _ten(rng: random.Random, site: Site) -> Traffic:
    hosts = [f"bargain-reads-{number}.com" for number in range(10)]
    return _campaign(rng, site, *hosts, claims=site.host, slower=8)


def _robots(rng: random.Random, site: Site) -> Traffic:
    """Its traffic is bought: one browser, a few hosting networks."""
    start = start_of(rng)

    def robot(number: int) -> Visitor:
        return Visitor(
            f"bot-{site.seed}-{number}", None, f"45.9.{number % 5}.{number % 200}", "Mozilla/5.0 Bot"
        )

    every = _paced(site, start)
    minutes = _minutes(every)
    hits = audience(rng, site, on_host(COPY), start=start, minutes=minutes, every=every, mean=1.3, who=robot)
    return Traffic(hits, frozenset({COPY}), minutes=minutes)


def _identified(rng: random.Random, site: Site) -> Traffic:
    """Scraped by somebody who was signed in: every copied page identifies that one user."""
    traffic = _campaign(rng, site, COPY, claims=site.host)
    user = next((visitor.user for visitor in site.visitors if visitor.user), "user-1")
    return traffic._replace(
        hits=[hit._replace(visitor=hit.visitor._replace(user=user)) for hit in traffic.hits]
    )


def _with_padding(rng: random.Random, site: Site) -> Traffic:
    """One page in eight is the copier's own."""
    traffic = _campaign(rng, site, COPY)
    hits = [
        hit._replace(page=Page(f"/offer/{rng.randrange(20)}", "Best offers")) if rng.random() < 0.06 else hit
        for hit in traffic.hits
    ]
    return traffic._replace(hits=hits)


HOSTILE: tuple[Scenario, ...] = (
    Scenario("absolute_canonical", "A copy whose pages claim to be the customer's.", _absolute),
    Scenario(
        "relative_canonical", "A copy whose canonical links are relative: it claims its own host.", _relative
    ),
    Scenario("no_canonical", "A copy without canonical links.", _none),
    Scenario(
        "header_less",
        "The collector saw neither Origin nor Referer; the pages claim the copy's host.",
        _headerless,
    ),
    Scenario("lookalike", "A copy on a host that resembles the customer's.", _lookalike),
    Scenario("shared_suffix", "A copy under a host that anybody can have a name under.", _shared_suffix),
    Scenario("slow_scrape", "A copy with a third of the usual visits.", _slow),
    Scenario("ten_domains", "Ten copies at once.", _ten),
    Scenario("robots", "A copy with bought traffic: one browser, few networks.", _robots),
    Scenario("identified", "A copy with the scraper's own sign-in in its pages.", _identified),
)

HARD: tuple[Scenario, ...] = (
    Scenario(
        "padded",
        "A copy with pages of the copier's between: ten pages do not give the bound.",
        _with_padding,
    ),
)
