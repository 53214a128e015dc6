"""From records that were archived to observations of their hosts: counts and keyed hashes (docs/origins.md).

Pure. Who is seen is what the rules see: the witness by the headers, the claim by the page.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from topics.origin_observations import MAX_PAGES, MAX_SHARES, SKETCH, OriginObservation
from workers.intake.dispositions import Decision
from workers.intake.envelope import Envelope
from workers.intake.facts import Account, Page, PageInputs, exact_inputs, page_inputs
from workers.intake.samples import Group
from workers.intake.visit import Visit, VisitReader
from workers.origins.hosts import web_host

HOSTS_PER_KEY = 64  # of a span; those with the most records
LONGEST_HOST = 300
LONGEST_ADDRESS = 64  # characters: with a zone's name


class Span(NamedTuple):
    """[start, end) of a chain's offsets. Times in ms since the epoch, the broker's."""

    topic: str
    topic_id: str
    incarnation: int
    partition: int
    start: int
    end: int
    first_at: int
    last_at: int


class HashKey(NamedTuple):
    """A workspace's own: hashes of different keys, or generations of one, have nothing in common."""

    generation: int
    key: bytes  # 32 bytes


class Hashes(dict[str, int]):
    """64 bits a text, of one kind: the same text of two kinds has two. What was hashed before is found."""

    def __init__(self, hashed: HashKey, kind: str) -> None:
        super().__init__()
        self._begun = blake2b(f"{kind}\n".encode(errors="replace"), digest_size=8, key=hashed.key)

    def __missing__(self, text: str) -> int:
        of = self._begun.copy()
        of.update(text.encode(errors="replace"))
        found = self[text] = int.from_bytes(of.digest())
        return found


class _Sums(defaultdict[str, float]):
    """Name → sum of weights."""

    def __init__(self) -> None:
        super().__init__(float)


@dataclass(slots=True)
class _Host:
    own: bool
    records: float = 0.0
    claims: _Sums = field(default_factory=_Sums)
    pages: set[int] = field(default_factory=set)
    visitors: set[int] = field(default_factory=set)
    users: set[int] = field(default_factory=set)
    networks: _Sums = field(default_factory=_Sums)
    browsers: _Sums = field(default_factory=_Sums)
    self_referrals: float = 0.0
    shadows: float = 0.0


def observe(
    span: Span, groups: Mapping[Decision, Group], account: Account, hashed: HashKey
) -> Iterator[OriginObservation]:
    """One observation a (write key, host). `groups`: all that there are of one source, whose `account` it is.

    A record that was kept stands for as many as its group had a kept one: counts are of all, sets of these.
    """
    observer, reader = _Observer(account, hashed), VisitReader()
    for group in groups.values():
        weight = group.records / len(group.kept) if group.kept else 0.0
        for line in group.kept:
            visit = reader.read(line)
            if visit is not None:
                observer.see(visit, weight)
    decision = next(iter(groups))
    of_key: Counter[str] = Counter()
    for (key, name), host in sorted(observer.hosts.items(), key=lambda each: -each[1].records):
        of_key[key] += 1
        if of_key[key] <= HOSTS_PER_KEY:
            yield _observation(span, decision, key, name, host, hashed)


class _Place(NamedTuple):
    """What the page of a record says, by its inputs alone."""

    host: str | None  # that the record is counted for; None: for none
    own: bool  # the customer's
    claim: str
    shadow: bool  # a foreign host that claims an own page


class _Observer:
    """Of one source's records of a span. What records have in common is looked at once."""

    def __init__(self, account: Account, hashed: HashKey) -> None:
        self.hosts: dict[tuple[str, str], _Host] = {}
        self._account = account
        self._places: dict[PageInputs, _Place] = {}
        kinds = ("page", "anonymous", "user", "network", "browser")
        self._pages, self._visitors, self._users, self._networks, self._browsers = (
            Hashes(hashed, kind) for kind in kinds
        )

    def see(self, visit: Visit, weight: float) -> None:
        """A record that stands for `weight` of them."""
        read = visit.envelope
        page, place = read.page, self._place(read)
        name = place.host
        if name is None:
            return
        host = self.hosts.get((read.write_key, name))
        if host is None:
            host = self.hosts[read.write_key, name] = _Host(place.own)
        host.records += weight
        host.claims[place.claim] += weight
        if (visit.path or visit.title) and len(host.pages) < MAX_PAGES:
            host.pages.add(self._pages[f"{visit.path or ''}\n{visit.title or ''}"])
        if page is not None and page.referrer and web_host(page.referrer) == name:
            host.self_referrals += weight
        if visit.anonymous_id:
            host.visitors.add(self._visitors[str(visit.anonymous_id)])
        if visit.user_id:
            host.users.add(self._users[str(visit.user_id)])
        if (network := network_of(visit.ip)) is not None:
            host.networks[f"{self._networks[network]:016x}"] += weight
        if visit.user_agent:
            host.browsers[f"{self._browsers[visit.user_agent]:016x}"] += weight
        if place.shadow:
            host.shadows += weight

    def _place(self, read: Envelope) -> _Place:
        inputs = page_inputs(read)
        place = self._places.get(inputs)
        if place is None:
            exact = exact_inputs(inputs, read)
            place = self._judged(Page(exact))
            if exact == inputs:  # else others of these inputs may say something else
                self._places[inputs] = place
        return place

    def _judged(self, page: Page) -> _Place:
        host, own = self._host(page)
        if host is not None and len(host) > LONGEST_HOST:
            host = None
        shadow = (
            not own and page.witness is not None and not page.witness_is_rehost and self._is_own(page.claim)
        )
        return _Place(host, own, (page.claim or "")[:LONGEST_HOST], shadow)

    def _host(self, page: Page) -> tuple[str | None, bool]:
        """Which host the record is counted for, and whether it is the customer's. None: for none.

        Without a witness only a foreign claim counts: nobody may teach own pages by a claim. A re-host that
        shows the customer's page is neither.
        """
        if page.null or not (self._account.browser or page.of_browser):
            return None, False
        witnessed = page.witness is not None
        original = page.witness_original if witnessed else page.claim_original
        if self._is_own(page.host):
            return (page.host, True) if witnessed else (None, False)
        return (None if original is not None and self._is_own(original.host) else page.host), False

    def _is_own(self, host: str | None) -> bool:
        return host is not None and self._account.own is not None and host in self._account.own


def network_of(ip: str | None) -> str | None:
    """The /24 of an IPv4 address, the /48 of an IPv6 one."""
    return _network_of(ip) if ip and len(ip) <= LONGEST_ADDRESS else None


@lru_cache(8192)  # a visitor sends more than once, and to parse an address takes 5 µs
def _network_of(ip: str) -> str | None:
    try:
        address = ip_address(ip)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"6:{int(address) >> 80:x}"
        address = address.ipv4_mapped
    return f"4:{int(address) >> 8:x}"


def _observation(
    span: Span, decision: Decision, key: str, name: str, host: _Host, hashed: HashKey
) -> OriginObservation:
    records = min(max(1, round(host.records)), span.end - span.start)
    return OriginObservation(
        **span._asdict(),
        write_key=key,
        workspace=decision.workspace,
        source=decision.source,
        host=name,
        own=host.own,
        hash_generation=hashed.generation,
        records=records,
        claims=_largest(host.claims),
        pages=tuple(sorted(host.pages)),
        pages_cut=len(host.pages) >= MAX_PAGES,
        anonymous_ids=_sketch(host.visitors),
        user_ids=_sketch(host.users),
        networks=_largest(host.networks),
        user_agents=_largest(host.browsers),
        self_referrals=min(records, round(host.self_referrals)),
        canonical_shadows=min(records, round(host.shadows)),
    )


def _sketch(hashes: Iterable[int]) -> tuple[int, ...]:
    return tuple(nsmallest(SKETCH, hashes))


def _largest(counts: Mapping[str, float]) -> dict[str, int]:
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:MAX_SHARES]
    return {name: max(1, round(count)) for name, count in most}
