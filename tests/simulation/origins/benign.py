"""What looks like a copy and is none."""

import random
from typing import Any

from tests.simulation.origins.scenario import MINUTE, Scenario, Traffic, audience, start_of
from tests.simulation.origins.site import BEGIN, DAY, Hit, Page, Site, Visitor, arrivals, on_host, session

OWN_SHARE = 60.0  # seconds between visits of a small host, at one record a second of the site's own


def _small(rng: random.Random, site: Site, host: str, claims: str | None = None, **more: Any) -> Traffic:
    """A host with some 2% of the site's traffic."""
    start = start_of(rng)
    every = OWN_SHARE / max(site.volume(start), 0.2)
    return Traffic(audience(rng, site, on_host(host, claims), start=start, minutes=40, every=every, **more))


def _moved(rng: random.Random, site: Site, ramp: int) -> Traffic:
    """From one moment on, or within `ramp` ms, all of the site's visitors are on its new domain."""
    start = start_of(rng)
    old, new = on_host(site.host), on_host(f"www.{site.brand}-group.com")
    hits: list[Hit] = []
    for at in arrivals(rng, start - 20 * MINUTE, start + 40 * MINUTE, lambda at: site.volume(at) / 3):
        share = 0.0 if at < start else min(1.0, (at - start) / ramp) if ramp else 1.0
        dress = new if rng.random() < share else old
        visitor = rng.choice(site.visitors)
        if dress is new:
            visitor = visitor._replace(anonymous=f"new-{visitor.anonymous}")  # another domain's cookie
        hits += session(rng, at, visitor, lambda: site.page(rng), dress, 3)
    return Traffic(hits, own=False)


def _migration(rng: random.Random, site: Site) -> Traffic:
    return _moved(rng, site, rng.choice([0, 2, 5, 10]) * MINUTE)


def _subdomain(rng: random.Random, site: Site) -> Traffic:
    return _small(rng, site, f"shop.{site.domain}", who=lambda _: rng.choice(site.visitors))


def _dashed(host: str) -> str:
    return host.replace("-", "--").replace(".", "-")


def _amp(rng: random.Random, site: Site) -> Traffic:
    return _small(rng, site, f"{_dashed(site.host)}.cdn.ampproject.org", site.host)


def _translation(rng: random.Random, site: Site) -> Traffic:
    return _small(rng, site, f"{_dashed(site.host)}.translate.goog", rng.choice([site.host, None]))


def _cdn_host(rng: random.Random, site: Site) -> Traffic:
    start = start_of(rng)
    return _usual(rng, site, "d3k7q2m1.cloudfront.net", rng.choice([site.host, None]), start)


def _usual(rng: random.Random, site: Site, host: str, claims: str | None, start: int) -> Traffic:
    """One visit in some hundreds of the site's, since before the judge had learnt its hosts."""
    hits: list[Hit] = []
    first = BEGIN + rng.randrange(11, 14) * DAY
    for at in arrivals(rng, first, start + 40 * MINUTE, lambda at: 0.002 * site.volume(at) / 3):
        visitor = rng.choice(site.visitors)._replace(anonymous=f"there-{rng.randrange(10**6)}")
        hits += session(rng, at, visitor, lambda: site.page(rng), on_host(host, claims), 3)
    return Traffic(hits)


def _preview(rng: random.Random, site: Site) -> Traffic:
    """The agency and the customer look at what will be published: few people, many pages."""
    people = [
        Visitor(f"reviewer-{number}", None, f"81.{rng.randrange(1, 5)}.7.{number + 1}", "Mozilla/5.0 Review")
        for number in range(rng.randrange(2, 7))
    ]
    host = rng.choice([f"{site.brand}-preview.vercel.app", "client-42.agency-works.net"])
    return _small(rng, site, host, mean=8, who=lambda number: people[number % len(people)])


def _corporate_proxy(rng: random.Random, site: Site) -> Traffic:
    """A company's staff through its gateway, which has several ways out."""
    host = rng.choice([f"{site.host}.mcas.ms", f"{_dashed(site.host)}.gateway.bigcorp-it.com"])

    def colleague(number: int) -> Visitor:
        return Visitor(
            f"staff-{number % 80}", None, f"19{number % 4}.8.1.{number % 80}", "Mozilla/5.0 Corporate"
        )

    return _small(rng, site, host, site.host, who=colleague)


def _library_proxy(rng: random.Random, site: Site) -> Traffic:
    """Students at home, through their library's: all networks, all browsers."""
    return _small(rng, site, f"{_dashed(site.host)}.ezproxy.lakeside-college.edu", site.host)


def _archive(rng: random.Random, site: Site) -> Traffic:
    """Readers of an archive, whose pages keep their canonical links."""
    return _small(rng, site, "web.archive.org", site.host)


def _webview(rng: random.Random, site: Site) -> Traffic:
    """The site in the customer's app: pages from files, no origin."""
    traffic = _small(rng, site, "app", site.host)
    scheme = rng.choice(["file://", "capacitor://localhost", "ionic://localhost"])
    return traffic._replace(hits=[hit._replace(origin=scheme, referer=None) for hit in traffic.hits])


def _localhost(rng: random.Random, site: Site) -> Traffic:
    host = rng.choice(["localhost", "192.168.1.20", f"{site.brand}.test", "mac-mini.local"])
    return _small(rng, site, host, rng.choice([site.host, None]))


def _second_site(rng: random.Random, site: Site) -> Traffic:
    """Another site of the customer's with the same key, not listed: other pages, other visitors."""
    traffic = _small(rng, site, f"{site.brand}-careers.com", mean=2.5)
    hits = [
        hit._replace(page=Page(f"/jobs/{len(hit.page.path)}", f"Job {hit.page.title}"))
        if rng.random() < 0.95
        else hit
        for hit in traffic.hits
    ]
    return traffic._replace(hits=hits)


def _landing(rng: random.Random, site: Site) -> Traffic:
    """A campaign's domain: a handful of pages of its own, and the home page's name."""
    landing = [Page(f"/lp/{number}", f"Offer {number}") for number in range(rng.randrange(3, 15))]
    traffic = _small(rng, site, f"get-{site.brand}-now.com", mean=1.5)
    hits = [hit._replace(page=rng.choice([*landing, site.pages[0]])) for hit in traffic.hits]
    return traffic._replace(hits=hits)


def _framed_partner(rng: random.Random, site: Site) -> Traffic:
    """One forger sends what a copy on a partner's site would send: every page, as many names as he likes."""

    def forged(number: int) -> Visitor:
        return Visitor(f"forged-{number}", None, f"62.1.{number % 2}.9", f"Mozilla/5.0 v{number % 30}")

    return _small(rng, site, "honest-partner.com", site.host, who=forged)


def _syndicated(rng: random.Random, site: Site) -> Traffic:
    """A partner shows some of the articles, with the same titles, at addresses of its own."""
    traffic = _small(rng, site, "weekly-partner.com")
    hits = [hit._replace(page=Page(f"/partners{hit.page.path}", hit.page.title)) for hit in traffic.hits]
    return traffic._replace(hits=hits)


def _signed_in_mirror(rng: random.Random, site: Site) -> Traffic:
    """A new address of the customer's own for a part of the users, who sign in there as they did before."""
    start = start_of(rng)
    users = [visitor for visitor in site.visitors if visitor.user]

    def user(number: int) -> Visitor:
        return rng.choice(users)._replace(anonymous=f"mirror-{number}")

    every = OWN_SHARE / max(site.volume(start), 0.2)
    hits = audience(
        rng,
        site,
        on_host(f"{site.brand}-members.com"),
        start=start,
        minutes=40,
        every=every,
        mean=3,
        who=user,
    )
    return Traffic(hits)


BENIGN: tuple[Scenario, ...] = (
    Scenario("migration", "The whole site moves to a new domain, at once or within ten minutes.", _migration),
    Scenario(
        "new_subdomain",
        "A new host under the customer's domain, which is not listed.",
        _subdomain,
        exact=True,
    ),
    Scenario("amp", "Pages from an AMP cache.", _amp),
    Scenario("translation", "Pages in a translation.", _translation),
    Scenario("cdn_host", "The address of the customer's CDN, with its usual share.", _cdn_host),
    Scenario("agency_preview", "A preview that a few people look at.", _preview),
    Scenario("corporate_proxy", "A company's gateway that rewrites hosts.", _corporate_proxy),
    Scenario("library_proxy", "A college's library proxy, used from home.", _library_proxy),
    Scenario("archive", "Pages from the Wayback Machine.", _archive),
    Scenario("webview", "Pages in the customer's app.", _webview),
    Scenario("localhost", "Developers' machines.", _localhost),
    Scenario("second_site", "Another site of the customer's with the same key.", _second_site),
    Scenario("ad_landing", "A campaign's own domain.", _landing),
    Scenario("framed_partner", "A forger makes a partner's site look like a copy.", _framed_partner),
    Scenario("syndicated", "A partner shows some articles.", _syndicated),
    Scenario(
        "signed_in_mirror",
        "A new address where the customer's users sign in.",
        _signed_in_mirror,
        signed_in=True,
    ),
)


def _silent_mirror(rng: random.Random, site: Site) -> Traffic:
    return _small(rng, site, f"www.{site.brand}-group.com", mean=2.5)


HARD: tuple[Scenario, ...] = (
    Scenario(
        "silent_mirror",
        "A new address of the customer's, not listed, for a small part of visitors; nobody signs in.",
        _silent_mirror,
    ),
)
