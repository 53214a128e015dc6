"""One scenario with one seed: envelopes, observations, the judge, and what became of every host."""

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tests.simulation.origins.observing import SAMPLED, Observer, envelope, observed
from tests.simulation.origins.scenario import MINUTE, Scenario, Traffic
from tests.simulation.origins.site import BEGIN, HOUR, LEARNT, Hit, Site, made_site, on_host, own_traffic
from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind
from workers.origins.judge import Conclusion, Judge
from workers.origins.weighing import Rules

PAGES = 10  # from the tenth page on the clock runs
LOOKED = 40  # own records an hour
BEFORE, AFTER = 20, 6  # minutes of the site's own traffic around a scenario's


class Caught(NamedTuple):
    """A copy. Times in ms."""

    host: str
    tenth: int | None  # when its tenth page was seen
    verdict: int | None


class Outcome(NamedTuple):
    scenario: str
    seed: int
    copies: tuple[Caught, ...]
    quarantined: int  # records of hosts that are no copies, after a verdict that they are
    caught: int  # records of copies after their verdict
    missed: int  # and before it
    conclusions: tuple[Conclusion, ...]

    def in_time(self, within: int) -> list[bool]:
        """Of each copy with ten pages, whether its verdict came so soon."""
        return [
            copy.verdict is not None and copy.verdict - copy.tenth <= within
            for copy in self.copies
            if copy.tenth is not None
        ]


def simulate(scenario: Scenario, seed: int, rules: Rules = Rules()) -> Outcome:  # noqa: B008 # frozen
    return outcomes(scenario, seed, (rules,))[0]


def outcomes(scenario: Scenario, seed: int, all_rules: Sequence[Rules]) -> list[Outcome]:
    """The same traffic under each of the rules."""
    site = made_site(seed, exact=scenario.exact, signed_in=scenario.signed_in)
    rng = random.Random(f"{scenario.name} {seed}")
    traffic = scenario.traffic(rng, site)
    hits = sorted(traffic.hits, key=_at)
    learnt, end = _learnt(seed, signed_in=site.signed_in > 0)
    stream = list(_stream(site, rng, traffic, hits, Observer(site, offset=end)))
    return [
        _outcome(scenario, seed, traffic, hits, _judged(Judge.restored(learnt, rules), stream))
        for rules in all_rules
    ]


def _stream(
    site: Site, rng: random.Random, traffic: Traffic, hits: list[Hit], observer: Observer
) -> Iterator[tuple[int, OriginObservation]]:
    end = hits[-1].at
    start = end - (traffic.minutes + BEFORE) * MINUTE
    own = own_traffic(site, rng, start, end + AFTER * MINUTE) if traffic.own else ()
    yield from observed(observer, site, sorted([*hits, *own], key=_at))


def _judged(judge: Judge, stream: list[tuple[int, OriginObservation]]) -> list[tuple[int, Conclusion]]:
    return [(at, conclusion) for at, observation in stream for conclusion in judge.fold(observation)]


def _outcome(
    scenario: Scenario,
    seed: int,
    traffic: Traffic,
    hits: list[Hit],
    concluded: list[tuple[int, Conclusion]],
) -> Outcome:
    verdicts = {found.host: at for at, found in concluded if found.kind is VerdictKind.COPY}
    pages: dict[str, set[str]] = {}
    tenth: dict[str, int] = {}
    caught = missed = quarantined = 0
    for hit in hits:
        host = _host(hit)
        seen = pages.setdefault(host, set())
        seen.add(hit.page.path)
        if len(seen) == PAGES:
            tenth.setdefault(host, hit.at)
        judged = host in verdicts and hit.at > verdicts[host]
        if host in traffic.copies:
            caught, missed = caught + judged, missed + (not judged)
        else:
            quarantined += judged
    copies = tuple(Caught(host, tenth.get(host), verdicts.get(host)) for host in sorted(traffic.copies))
    found = tuple(conclusion for _, conclusion in concluded)
    return Outcome(scenario.name, seed, copies, quarantined, caught, missed, found)


def _at(hit: Hit) -> int:
    return hit.at


def _host(hit: Hit) -> str:
    return (hit.origin or hit.url).partition("://")[2].partition("/")[0]


@lru_cache(maxsize=4)
def _learnt(seed: int, *, signed_in: bool) -> tuple[bytes, int]:
    """A judge after three weeks of the site's own traffic, and where the chain's offsets stand.

    Whether it lists its host or all below its domain is all the same to its own.
    Of own records one in SAMPLED is looked at, so only those are made, and LOOKED an hour at most; each
    hour's count is of all.
    """
    site = made_site(seed, signed_in=signed_in)
    rng = random.Random(f"learning {seed}")
    judge = Judge()
    observer = Observer(site, sampled=1)
    offset = 0
    for hour in range(BEGIN, LEARNT, HOUR):
        records = int(site.volume(hour) * HOUR / 1000)
        looked = min(LOOKED, records // SAMPLED)
        for at in sorted(rng.randrange(hour, hour + HOUR) for _ in range(looked)):
            observer.see(at, _own_view(site, rng, at))
        for observation in observer.cut():
            counted = msgspec.structs.replace(
                observation, records=records, start=offset, end=offset + records, last_at=hour
            )
            offset += records
            judge.fold(counted)
    return judge.snapshot(), offset


def _own_view(site: Site, rng: random.Random, at: int) -> bytes:
    hit = on_host(site.host)(at, rng.choice(site.visitors), site.page(rng), None)
    return envelope(site, hit)
