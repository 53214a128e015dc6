"""What becomes of a record that can be read: one ordered list of named rules, the first match wins."""

from collections.abc import Callable
from typing import NamedTuple

from topics.origin_verdicts import VerdictKind
from topics.workspaces import OverQuota
from topics.write_keys import KeyState
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Decision, Disposition, clock_of
from workers.intake.envelope import UNREADABLE
from workers.intake.facts import Facts
from workers.origins.hosts import HostPatterns
from workers.origins.rehosts import Original


class Rule(NamedTuple):
    """`name` is the reason stored and the metric's label; it never changes."""

    name: str
    disposition: Disposition
    meaning: str
    applies: Callable[[Facts], bool]
    unclaimed: bool = False  # belongs to nobody yet: goes to the platform's own workspace


def _key_is_unknown_and_room_is_gone(facts: Facts) -> bool:
    return facts.key is None and facts.room < 0


def _key_is_unknown(facts: Facts) -> bool:
    return facts.key is None


def _key_is_revoked(facts: Facts) -> bool:
    return facts.key is not None and facts.key.state is KeyState.REVOKED


def _key_is_abused(facts: Facts) -> bool:
    return facts.key is not None and facts.key.state is KeyState.ABUSED


def _key_has_retired(facts: Facts) -> bool:
    return facts.appended >= facts.until


def _workspace_is_unknown(facts: Facts) -> bool:
    return facts.account is None


def _workspace_is_closed(facts: Facts) -> bool:
    return facts.account is not None and facts.account.closed


def _day_is_past_retention(facts: Facts) -> bool:
    return facts.appended < facts.kept_since or Clock.MAIN in facts.disposed.clocks


def _over_quota_and_rejected(facts: Facts) -> bool:
    return _over(facts) is OverQuota.REJECT


def _over_quota_and_flagged(facts: Facts) -> bool:
    return _over(facts) is OverQuota.FLAG


def _over(facts: Facts) -> OverQuota | None:
    """The workspace's choice, for a record that is over its key's quota."""
    if not facts.over_quota or facts.account is None or facts.account.limit is None:
        return None
    return facts.account.limit.over


def _own_hosts(facts: Facts) -> HostPatterns | None:
    """The hosts to judge the record's origin by; None for a record whose origin is not judged.

    A server's or an app's records are exempt by the declared type and the absence of a browser's traces.
    """
    account = facts.account
    if account is None or account.own is None:
        return None
    return account.own if account.browser or facts.page.of_browser else None


def _origin_is_blocked(facts: Facts) -> bool:
    """By the customer's word, whatever hosts it lists, or none."""
    if not facts.verdicts or facts.account is None:
        return False
    if not facts.account.browser and not facts.page.of_browser:
        return False
    return facts.said_of(facts.page.host) is VerdictKind.HOSTILE


def _origin_is_a_copy(facts: Facts) -> bool:
    """The customer's own list goes before the judge's word, and so does whose page a re-host shows."""
    if not facts.verdicts or facts.account is None or not facts.account.quarantines:
        return False
    if facts.appended < facts.quarantined_since or Clock.QUARANTINE in facts.disposed.clocks:
        return False
    is_foreign = _witness_is_foreign if facts.page.witness is not None else _claim_is_foreign
    return is_foreign(facts) and facts.said_of(facts.page.host) is VerdictKind.COPY


def _witness_is_anothers(facts: Facts) -> bool:
    own = _own_hosts(facts)
    return own is not None and facts.page.witness is not None and facts.page.witness not in own


def _claim_is_anothers(facts: Facts) -> bool:
    own = _own_hosts(facts)
    return own is not None and facts.page.claim is not None and facts.page.claim not in own


def _witness_is_foreign(facts: Facts) -> bool:
    return (
        _witness_is_anothers(facts)
        and facts.said_of(facts.page.witness) is not VerdictKind.BENIGN
        and _is_foreign(facts, facts.page.witness_original)
    )


def _claim_shadows_the_witness(facts: Facts) -> bool:
    """Archives keep pages' canonical links too, and may not say whose a page is: no sign of a copy."""
    if not _witness_is_foreign(facts) or facts.page.witness_is_rehost:
        return False
    return facts.page.claim is not None and not _claim_is_anothers(facts)


def _claim_is_foreign(facts: Facts) -> bool:
    return (
        _claim_is_anothers(facts)
        and facts.said_of(facts.page.claim) is not VerdictKind.BENIGN
        and _is_foreign(facts, facts.page.claim_original)
    )


def _is_foreign(facts: Facts, original: Original | None) -> bool:
    own = _own_hosts(facts)
    return own is not None and (original is None or original.host not in own)


def _origin_is_approved(facts: Facts) -> bool:
    """Behind the rules of foreign hosts, as `_page_is_rehosted`."""
    if not facts.verdicts:
        return False
    return (_witness_is_anothers(facts) and facts.said_of(facts.page.witness) is VerdictKind.BENIGN) or (
        _claim_is_anothers(facts) and facts.said_of(facts.page.claim) is VerdictKind.BENIGN
    )


def _page_is_rehosted(facts: Facts) -> bool:
    """Behind the rules of foreign hosts: what is not the customer's own was found to show their page."""
    return _witness_is_anothers(facts) or _claim_is_anothers(facts)


def _origin_is_null(facts: Facts) -> bool:
    return _own_hosts(facts) is not None and facts.page.null and facts.page.of_browser


def _nobody_claimed_it_in_time(facts: Facts) -> bool:
    return facts.account is None and (
        facts.appended < facts.kept_since or Clock.UNCLAIMED in facts.disposed.clocks
    )


def _always(_: Facts) -> bool:
    return True


# also of a dead letter (sort.py): both are kept on the platform's own clocks
PAST_PLATFORM_RETENTION = "past_platform_retention"

RULES: tuple[Rule, ...] = (
    Rule(
        PAST_PLATFORM_RETENTION,
        Disposition.REJECTED,
        "Nobody's record (its key or workspace is not known, or it can't be read), older than such are kept, "
        "or of a day of which such were disposed of.",
        _nobody_claimed_it_in_time,
        unclaimed=True,
    ),
    Rule(
        "unknown_key_budget",
        Disposition.REJECTED,
        "The write key is not known, and what its partition keeps of such records in an hour is used up, or "
        "this key's share of it.",
        _key_is_unknown_and_room_is_gone,
        unclaimed=True,
    ),
    Rule(
        "unknown_key",
        Disposition.QUARANTINED,
        "The write key is not known: it may be newer than the worker's copy. Kept for a week, and replayed "
        "if the key appears.",
        _key_is_unknown,
        unclaimed=True,
    ),
    Rule("revoked_key", Disposition.REJECTED, "The write key was revoked.", _key_is_revoked),
    Rule("abused_key", Disposition.REJECTED, "The write key was marked as abused.", _key_is_abused),
    Rule(
        "expired_key",
        Disposition.REJECTED,
        "The write key was retiring, and the record was appended to the log after the end of its overlap.",
        _key_has_retired,
    ),
    Rule(
        "unknown_workspace",
        Disposition.QUARANTINED,
        "The key is known, the record of its workspace has not arrived: kept like one of an unknown key.",
        _workspace_is_unknown,
        unclaimed=True,
    ),
    Rule("closed_workspace", Disposition.REJECTED, "The workspace is closed.", _workspace_is_closed),
    Rule(
        "past_retention",
        Disposition.REJECTED,
        "The day of the record is already past the retention of its workspace or source, or was disposed of "
        "before that was lengthened or a hold was set.",
        _day_is_past_retention,
    ),
    Rule(
        "blocked_origin",
        Disposition.REJECTED,
        "It comes from a host that the customer has blocked (Origin, else Referer, else the page's address).",
        _origin_is_blocked,
    ),
    Rule(
        "over_quota_rejected",
        Disposition.REJECTED,
        "The write key had used up its quota, and the workspace chose to reject what is over it.",
        _over_quota_and_rejected,
    ),
    Rule(
        "copied_origin",
        Disposition.QUARANTINED,
        "It comes from a host that the judge calls a copy (Origin, else Referer, else the page's address), "
        "and the workspace chose to quarantine such. Kept for 30 days at most, and released or discarded by "
        "the customer's word.",
        _origin_is_a_copy,
    ),
    Rule(
        "canonical_shadow",
        Disposition.FLAGGED,
        "A browser sent it from a host that the workspace does not list, and the page says that it is on one "
        "that it lists: so does a copy that kept the page's canonical link.",
        _claim_shadows_the_witness,
    ),
    Rule(
        "foreign_origin",
        Disposition.FLAGGED,
        "A browser sent it from a host that the workspace does not list as its own (Origin, else Referer), "
        "and that is no re-host of one.",
        _witness_is_foreign,
    ),
    Rule(
        "foreign_claim",
        Disposition.FLAGGED,
        "The page says that it is on a host that the workspace does not list, and that is no re-host of one.",
        _claim_is_foreign,
    ),
    Rule(
        "null_origin",
        Disposition.FLAGGED,
        "Origin: null with the traces of a web page, as a sandboxed frame sends it.",
        _origin_is_null,
    ),
    Rule(
        "over_quota_flagged",
        Disposition.FLAGGED,
        "The write key had used up its quota, and the workspace chose to flag what is over it.",
        _over_quota_and_flagged,
    ),
    Rule(
        "approved_origin",
        Disposition.ACCEPTED,
        "Its host is none that the workspace lists, and the customer has approved it.",
        _origin_is_approved,
    ),
    Rule(
        "rehosted",
        Disposition.ACCEPTED,
        "A translation, cache, archive or proxy of one of its pages: the address holds a host that it lists.",
        _page_is_rehosted,
    ),
    Rule("accepted", Disposition.ACCEPTED, "Nothing is against it.", _always),
)

INTAKE_ERROR = "intake_error"

REASONS: dict[str, tuple[Disposition, str]] = {
    **{rule.name: (rule.disposition, rule.meaning) for rule in RULES},
    **{name: (Disposition.DEAD_LETTERED, meaning) for name, meaning in UNREADABLE.items()},
    INTAKE_ERROR: (
        Disposition.DEAD_LETTERED,
        "A rule failed on it: a fault of this program. Replay it when mended.",
    ),
}


def decide(facts: Facts) -> Decision:
    """The first rule that applies, and whose the record is."""
    rule = next(rule for rule in RULES if rule.applies(facts))
    if rule.unclaimed or facts.key is None:
        return Decision(rule.disposition, rule.name, PLATFORM, UNCLAIMED, Clock.UNCLAIMED)
    workspace, source = facts.key.workspace, facts.key.source
    clock = clock_of(workspace, source, rule.disposition)
    return Decision(rule.disposition, rule.name, workspace, source, clock)
