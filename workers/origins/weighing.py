"""Everything that the judge knows of a host, weighed: for a copy, against one, in figures and in words.

Two things stay apart: whether the pages are the customer's, and every other kind of evidence (a family). No
single one is enough (docs/origins.md, What the judge weighs).
"""

from typing import NamedTuple

import msgspec

from workers.origins import judge_state, lookalike
from workers.origins.evidence import concentration, content_match, cusum, share
from workers.origins.hosts import registrable_domain
from workers.origins.judge_state import DAY, HOUR, MINUTE, HostState, KeyState
from workers.origins.rehosts import of_family

FAMILIES = {
    "canonical_shadow": "its pages claim to be the customer's",
    "self_referral": "visitors go from page to page of it",
    "no_visitor_overlap": "none of its visitors was ever seen on the customer's own hosts",
    "network_concentration": "most of its traffic is from one network",
    "user_agent_concentration": "most of its traffic is of one browser",
    "lookalike": "its name looks like the customer's",
}
HELD = {
    "pages": "too few of its pages can be told, or are the customer's",
    "shadow_period": "the judge is in its shadow period for this key",
    "no_second_family": "there is no other evidence than its pages",
    "networks": "its visitors are of too few networks",
    "visitors": "it has too few visitors, or few for the pages they see",
    "user_overlap": "users of the customer's are signed in there",
    "own_domain": "it lies under a domain of the customer's own",
    "rehost": "it is a known translator, cache, archive or proxy",
    "rewritten": "it has a whole host of the customer's in front, as proxies write it",
    "local": "it is a developer's machine or a private network",
    "established": "it was there while the judge learnt, and has no more traffic than then",
    "host_share": "brake: one host has a large part of the key's traffic, as a migration has",
    "quarantine_share": "brake: the quarantined part of the key's traffic would be too large",
}


LEAST_RECORDS = 10  # for a share of them to mean anything
SHADOWS = 0.5
SELF_REFERRALS, SELF_REFERRAL_SHARE = 3, 0.05
CONCENTRATED = 0.5
OWN_VISITORS_KNOWN = 100
LEAST_AN_HOUR = 0.2  # records that count as usual for a host that has hardly any


class Rules(msgspec.Struct, frozen=True):
    """Thresholds. What they catch and spare is measured."""

    pages: int = 10  # distinct, that can be told
    match: float = 0.7  # Wilson's lower bound of the share that the customer has too
    networks: int = 3  # or one forger could frame a partner's site
    visitors: int = 6  # or colleagues who look at a preview would be enough;
    pages_a_visitor: float = 3.0  # and they see many pages each
    shared_users: int = 2  # that speak against a copy: one may be written into the copied page
    suspect: float = 0.5  # the bound for a suspicion: 5 of 5 pages have 0.57
    suspect_pages: int = 5
    shadow: int = 7 * DAY  # after judge_state.LEARNING
    settling: int = 3 * MINUTE  # that the pages' evidence must stand: a migration shows itself in that time


class Pages(NamedTuple):
    """How far a host's pages are the customer's own."""

    told: int  # of its pages: whether the customer has them can be told
    found: int
    match: float  # Wilson's bound

    def copied(self, rules: Rules) -> bool:
        return self.told >= rules.pages and self.match >= rules.match

    def suspicious(self, rules: Rules) -> bool:
        return self.told >= rules.suspect_pages and self.match >= rules.suspect


def pages(key: KeyState, host: HostState) -> Pages:
    return Pages(*content_match(host.evidence.pages, key.own.pages))


class Weighed(NamedTuple):
    """What else there is than the pages."""

    families: tuple[str, ...]  # of FAMILIES: for a copy
    against: tuple[str, ...]  # of HELD
    figures: dict[str, float]


def weigh(key: KeyState, name: str, host: HostState, told: int, rules: Rules) -> Weighed:
    """All of a host but its pages, of which so many are `told`, and the brakes."""
    seen = host.evidence
    visitors, known_visitors = seen.visitors.compared(key.own.visitors)
    known_users = seen.users.compared(key.own.users)[1]
    shadows = share(host.canonical_shadows, host.records)
    referrals = share(host.self_referrals, host.records)
    network = concentration(seen.networks, key.own.networks)
    user_agent = concentration(seen.user_agents, key.own.user_agents)
    enough = host.records >= LEAST_RECORDS
    own_known = len(key.own.visitors) >= OWN_VISITORS_KNOWN
    standing = {
        "canonical_shadow": enough and shadows >= SHADOWS,
        "self_referral": host.self_referrals >= SELF_REFERRALS and referrals >= SELF_REFERRAL_SHARE,
        "no_visitor_overlap": own_known and visitors >= rules.visitors and known_visitors == 0,
        "network_concentration": enough and network >= CONCENTRATED,
        "user_agent_concentration": enough and user_agent >= CONCENTRATED,
        "lookalike": lookalike.looks_like(name, key.own_hosts),
    }
    families = tuple(family for family, stands in standing.items() if stands)
    against = {
        "shadow_period": key.in_learning(key.clock - rules.shadow),
        "no_second_family": not families,
        "networks": len(seen.networks) < rules.networks,
        "visitors": seen.visitors.count() < max(rules.visitors, told / rules.pages_a_visitor),
        "user_overlap": known_users >= rules.shared_users,
        "own_domain": under_own_domain(name, key),
        "rehost": of_family(name),
        "rewritten": lookalike.rewrites(name, key.own_hosts),
        "local": lookalike.is_local(name),
        "established": established(key, host),
    }
    figures = {
        "records": float(host.records),
        "canonical_shadow": shadows,
        "self_referral": referrals,
        "visitors": seen.visitors.count(),
        "known_visitors": float(known_visitors),
        "known_users": float(known_users),
        "networks": float(len(seen.networks)),
        "largest_network": network,
        "largest_user_agent": user_agent,
        "lookalike": float(standing["lookalike"]),
        "volume": volume(key, host),
    }
    return Weighed(families, tuple(why for why, holds in against.items() if holds), figures)


def established(key: KeyState, host: HostState) -> bool:
    """Whether the host was there while the judge learnt, and its volume has not risen since."""
    return key.in_learning(host.first_at) and volume(key, host) < 1


def volume(key: KeyState, host: HostState) -> float:
    """The CUSUM of the last day's hours against the week before; 1 is an alarm."""
    now = key.clock // HOUR
    yesterday, week = now - 24, 7 * 24
    usual = judge_state.total(host.hours, range(yesterday - week, yesterday)) / week
    last_day = (host.hours.get(hour, 0) for hour in range(yesterday, now + 1))
    return cusum(last_day, max(usual, LEAST_AN_HOUR))


def under_own_domain(name: str, key: KeyState) -> bool:
    domain = registrable_domain(name)
    return domain is not None and any(registrable_domain(own) == domain for own in key.own_hosts)
