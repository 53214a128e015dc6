"""Raw envelopes to observations: who is seen is the archive's own code; counts and hashes are made here."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import ip_address

import msgspec

from tests.simulation.origins.site import Hit, Site
from topics.origin_observations import MAX_PAGES, MAX_SHARES, SKETCH, OriginObservation
from topics.times import iso_ms
from workers.intake import envelope as envelopes
from workers.intake.facts import Page, exact_inputs, page_inputs
from workers.origins.hosts import host_patterns

INTERVAL = 15_000  # ms
SAMPLED = 64  # of the customer's own records, one in so many is looked at


def envelope(site: Site, hit: Hit) -> bytes:
    """The value of its raw-events record."""
    page = {"url": hit.url, "path": hit.page.path, "title": hit.page.title, "referrer": hit.referrer}
    event = {
        "type": "page",
        "anonymousId": hit.visitor.anonymous,
        "userId": hit.visitor.user,
        "context": {"page": page},
    }
    headers = {"origin": hit.origin, "referer": hit.referer, "userAgent": hit.visitor.browser}
    return msgspec.json.encode(
        {
            "v": 1,
            "writeKey": site.write_key,
            "receivedAt": iso_ms(hit.at),
            "ip": hit.visitor.ip,
            **{name: value for name, value in headers.items() if value is not None},
            "event": event,
        }
    )


class _Page(msgspec.Struct):
    path: str = ""
    title: str = ""
    referrer: str = ""


class _Context(msgspec.Struct):
    page: _Page = msgspec.field(default_factory=_Page)


class _Event(msgspec.Struct, rename="camel"):
    anonymous_id: str | None = None
    user_id: str | None = None
    context: _Context = msgspec.field(default_factory=_Context)


class _Seen(msgspec.Struct, rename="camel"):
    event: _Event
    ip: str = ""
    user_agent: str = ""


_seen = msgspec.json.Decoder(_Seen).decode


@dataclass
class _Span:
    own: bool
    first_at: int
    last_at: int = 0
    records: int = 0
    claims: dict[str, int] = field(default_factory=dict)
    pages: set[int] = field(default_factory=set)
    visitors: set[int] = field(default_factory=set)
    users: set[int] = field(default_factory=set)
    networks: dict[str, int] = field(default_factory=dict)
    browsers: dict[str, int] = field(default_factory=dict)
    self_referrals: int = 0
    shadows: int = 0


class Observer:
    """One chain's. `sampled` 1 looks at every own record."""

    def __init__(self, site: Site, sampled: int = SAMPLED, offset: int = 0) -> None:
        self._own = host_patterns(site.allowed)
        self._site = site
        self._sampled = sampled
        self._rng = random.Random(f"sample {site.seed}")
        self._key = f"key {site.seed}".encode()
        self._spans: dict[str, _Span] = {}
        self._start = self.offset = offset

    def see(self, at: int, value: bytes) -> None:
        read = envelopes.decode(value)
        page = Page(exact_inputs(page_inputs(read), read))
        self.offset += 1
        host = page.witness or page.claim
        if host is None or page.null:
            return
        own = host in self._own
        if not own and page.witness is not None:
            original = page.witness_original
            if original is not None and original.host in self._own:
                return
        span = self._spans.setdefault(host, _Span(own, at))
        span.records += 1
        span.last_at = at
        if own and self._rng.random() * self._sampled >= 1:
            return
        seen = _seen(value)
        event = seen.event
        shown = event.context.page
        claim = page.claim or ""
        span.claims[claim] = span.claims.get(claim, 0) + 1
        if len(span.pages) < MAX_PAGES:
            span.pages.add(self._hash(f"{shown.path}\n{shown.title}"))
        if event.anonymous_id:
            span.visitors.add(self._hash(event.anonymous_id))
        if event.user_id:
            span.users.add(self._hash(event.user_id))
        network = str(int(ip_address(seen.ip)) >> 8)
        span.networks[network] = span.networks.get(network, 0) + 1
        span.browsers[seen.user_agent] = span.browsers.get(seen.user_agent, 0) + 1
        if shown.referrer.startswith((f"https://{host}/", f"http://{host}/")):
            span.self_referrals += 1
        if not own and claim in self._own:
            span.shadows += 1

    def cut(self) -> Iterator[OriginObservation]:
        """What was seen since the last cut."""
        start, self._start = self._start, self.offset
        spans, self._spans = self._spans, {}
        for host, span in spans.items():
            yield OriginObservation(
                topic="raw-events",
                topic_id="simulated",
                incarnation=1,
                partition=0,
                start=start,
                end=self.offset,
                first_at=span.first_at,
                last_at=span.last_at,
                write_key=self._site.write_key,
                workspace="w",
                source="s",
                host=host,
                own=span.own,
                hash_generation=1,
                records=span.records,
                claims=_largest(span.claims),
                pages=tuple(sorted(span.pages)),
                pages_cut=len(span.pages) >= MAX_PAGES,
                anonymous_ids=tuple(sorted(span.visitors)[:SKETCH]),
                user_ids=tuple(sorted(span.users)[:SKETCH]),
                networks=_largest(span.networks),
                user_agents=_largest(span.browsers),
                self_referrals=span.self_referrals,
                canonical_shadows=span.shadows,
            )

    def _hash(self, text: str) -> int:
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._key).digest())


def observed(observer: Observer, site: Site, hits: Iterable[Hit]) -> Iterator[tuple[int, OriginObservation]]:
    """Observations of hits in the order of time, with the time at which each is sent: every INTERVAL."""
    due = None
    for hit in hits:
        while due is not None and hit.at >= due:
            for observation in observer.cut():
                yield due, observation
            due = due + INTERVAL if hit.at < due + INTERVAL else hit.at // INTERVAL * INTERVAL + INTERVAL
        if due is None:
            due = hit.at // INTERVAL * INTERVAL + INTERVAL
        observer.see(hit.at, envelope(site, hit))
    for observation in observer.cut():
        yield due or 0, observation


def _largest(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_SHARES])
