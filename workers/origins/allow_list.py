"""Proposes a list of the customer's own hosts from what was seen. Pure: a person decides (docs/origins.md).

What anybody can have a name under is never covered by a pattern: each is made by the rules of patterns
(hosts.parse_pattern). One covers a domain only if several hosts of it were seen, and nothing is against any.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from topics.origin_verdicts import VerdictKind
from workers.errors import Poison
from workers.origins import lookalike
from workers.origins.hosts import HostPatterns, is_address, parse_pattern, registrable_domain
from workers.origins.rehosts import of_family
from workers.origins.seen import Observed, Seen

MOSTLY = 0.5  # of a host's records
LISTED, RARE = "it is listed already", "it has too few of the records"  # which says nothing against a host

SAID = {
    VerdictKind.SUSPECT: "the judge suspects that it is a copy",
    VerdictKind.COPY: "the judge calls it a copy",
    VerdictKind.HOSTILE: "the customer has blocked it",
}


class Proposed(NamedTuple):
    """`pattern` is empty where nothing is proposed, and `why` says why not."""

    pattern: str
    hosts: tuple[str, ...]
    records: int
    share: float  # of all records that were seen
    why: str


def propose(
    seen: Observed, own: HostPatterns | None, verdicts: Mapping[str, VerdictKind], least: float
) -> list[Proposed]:
    """The patterns, the most records first; then the hosts that are not proposed, with the reason.

    `own`: the hosts that are listed already. `verdicts` by host, the worst of all keys'. `least`: the share
    of all records that a host must have.
    """
    total = seen.records
    hosts = {host: each for host, each in seen.hosts() if host and each.records}
    known = _known(hosts, own)
    refused = {
        host: why
        for host, each in hosts.items()
        if (why := _why_not(host, each, known, verdicts.get(host), each.records < least * total))
    }
    doubtful = {registrable_domain(host) for host, why in refused.items() if why not in (LISTED, RARE)}
    groups: dict[str, list[str]] = {}
    for host in sorted(hosts.keys() - refused.keys()):
        groups.setdefault(registrable_domain(host) or host, []).append(host)
    chosen = [
        _proposed(pattern, part, hosts, total, "")
        for domain, members in groups.items()
        for pattern, part in _patterns(domain, members, whole=domain not in doubtful)
    ]
    others = [_proposed("", [host], hosts, total, why) for host, why in refused.items()]
    most: Callable[[Proposed], tuple[int, tuple[str, ...]]] = lambda each: (-each.records, each.hosts)  # noqa: E731
    return [*sorted(chosen, key=most), *sorted(others, key=most)]


def _proposed(pattern: str, members: list[str], hosts: Mapping[str, Seen], total: int, why: str) -> Proposed:
    records = sum(hosts[host].records for host in members)
    return Proposed(pattern, tuple(members), records, records / total, why)


class _Known(NamedTuple):
    """Hosts that are the customer's: those seen that it lists; if none, the one with the most records."""

    listed: frozenset[str]
    names: frozenset[str]


def _known(hosts: Mapping[str, Seen], own: HostPatterns | None) -> _Known:
    listed = frozenset(host for host in hosts if own is not None and host in own)
    largest = sorted(hosts, key=lambda host: (-hosts[host].records, host))[:1]
    return _Known(listed, listed or frozenset(largest))


def _why_not(host: str, seen: Seen, known: _Known, verdict: VerdictKind | None, rare: bool) -> str:
    """Why a host is not proposed; empty if it is."""
    if host in known.listed:
        return LISTED
    return next(_against(host, seen, known, verdict), RARE if rare else "")


def _against(host: str, seen: Seen, known: _Known, verdict: VerdictKind | None) -> Iterator[str]:
    if verdict is not None and verdict in SAID:
        yield SAID[verdict]
    if of_family(host):
        yield "it is a known translator, cache, archive or proxy: these are decoded, never listed"
    if lookalike.is_local(host):
        yield "it is a developer's machine or a private network"
    if is_address(host):
        yield "it is an address, which may be somebody else's tomorrow"
    if other := _claimed(host, seen):
        yield f"most of its pages say that they are on {other}: so does a copy"
    if lookalike.looks_like(host, known.names):
        yield "its name looks like one of the customer's, and is not under a domain of theirs"


def _claimed(host: str, seen: Seen) -> str:
    """Another party's host that most of its records name as their page's; empty where there is none."""
    domain = registrable_domain(host) or host
    named, records = max(seen.claims.items(), key=lambda each: (each[1], each[0]), default=("", 0))
    is_others = bool(named) and (registrable_domain(named) or named) != domain
    return named if is_others and records > MOSTLY * seen.records else ""


def _patterns(domain: str, members: list[str], *, whole: bool) -> list[tuple[str, list[str]]]:
    """The whole domain if several of its hosts were seen and the rules allow it; else each host."""
    each = [(host, [host]) for host in members]
    if len(members) == 1 or not whole:
        return each
    pattern = f"[*.]{domain}"
    try:
        parse_pattern(pattern)
    except Poison:
        return each
    return [(pattern, members)]
