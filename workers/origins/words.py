"""What the judge found, in sentences that can be read to a customer (docs/origins.md, Commands)."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy

Evidence = Mapping[str, float]

NOTABLE = 0.5  # of a share: what is less is told as a figure, not as a sign
VOLUME_ALARM = 1.0  # of the CUSUM over its threshold
BARE = frozenset({"pages_found", "networks", "known_visitors"})  # figures that are told with another one


class Sentence(NamedTuple):
    """`name`: the evidence that it is about. `said`: what is said by all there is; empty for nothing."""

    name: str
    said: Callable[[Evidence], str]


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


def _pages(found: Evidence) -> str:
    told = int(found["pages_told"])
    if not told:
        return "none of its pages could be compared with the customer's"
    own = int(found.get("pages_found", 0))
    return f"{own} of the {told} pages that were seen on it, by path and title, are the customer's own"


def _match(found: Evidence) -> str:
    return f"so at least {_percent(found['content_match'])} of all its pages are, with 95 % certainty"


def _records(found: Evidence) -> str:
    networks = int(found.get("networks", 0))
    spread = f", from {networks} networks" if networks else ""
    return f"{int(found['records']):,} records came from it{spread}"


def _shadow(found: Evidence) -> str:
    share = found["canonical_shadow"]
    if share < NOTABLE:
        return ""
    return (
        f"{_percent(share)} of its records say that their page is on the customer's site, while the browser "
        "names this host: so does a page that was copied with its canonical link"
    )


def _referrals(found: Evidence) -> str:
    share = found["self_referral"]
    return (
        f"{_percent(share)} of its records are of visitors who went on from page to page of it"
        if share
        else ""
    )


def _visitors(found: Evidence) -> str:
    visitors, known = int(found["visitors"]), int(found.get("known_visitors", 0))
    if not visitors:
        return ""
    if not known:
        return f"none of its {visitors:,} visitors was ever seen on the customer's own site"
    return f"{known:,} of its {visitors:,} visitors were on the customer's own site too, which speaks for it"


def _users(found: Evidence) -> str:
    known = int(found["known_users"])
    return f"{known:,} of the customer's own users were signed in there, which speaks for it" if known else ""


def _network(found: Evidence) -> str:
    share = found["largest_network"]
    return f"{_percent(share)} of its traffic comes from one network" if share >= NOTABLE else ""


def _user_agent(found: Evidence) -> str:
    share = found["largest_user_agent"]
    return f"{_percent(share)} of its traffic is of one version of one browser" if share >= NOTABLE else ""


def _lookalike(found: Evidence) -> str:
    return "its name looks like one of the customer's" if found["lookalike"] else ""


def _volume(found: Evidence) -> str:
    return "it sends at least five times as much as it used to" if found["volume"] >= VOLUME_ALARM else ""


SENTENCES: tuple[Sentence, ...] = (
    Sentence("pages_told", _pages),
    Sentence("content_match", _match),
    Sentence("canonical_shadow", _shadow),
    Sentence("visitors", _visitors),
    Sentence("known_users", _users),
    Sentence("self_referral", _referrals),
    Sentence("largest_network", _network),
    Sentence("largest_user_agent", _user_agent),
    Sentence("lookalike", _lookalike),
    Sentence("volume", _volume),
    Sentence("records", _records),
)
NAMES = frozenset({sentence.name for sentence in SENTENCES} | BARE)


def evidence_words(evidence: Evidence) -> list[str]:
    """What was found, the weightiest first. Of kinds that this version does not know, the bare figures."""
    said = [sentence.said(evidence) for sentence in SENTENCES if sentence.name in evidence]
    unknown = [f"{name}: {evidence[name]:g}" for name in sorted(evidence.keys() - NAMES)]
    return [*filter(None, said), *unknown]


def verdict_words(kind: VerdictKind, origins: OriginPolicy) -> str:
    """What the verdict means for records from the host, by what the workspace chose."""
    if kind is VerdictKind.HOSTILE:
        return "The customer has blocked it: its records are rejected"
    if kind is VerdictKind.BENIGN:
        return "The customer has approved it: its records are accepted"
    if kind is VerdictKind.SUSPECT:
        return "It may be a copy of the customer's pages: its records are flagged, and stored like others"
    if origins is OriginPolicy.QUARANTINE:
        return "It is a copy of the customer's pages: its records are quarantined, for 30 days at most"
    return "It is a copy of the customer's pages: its records are flagged, and stored like others"
