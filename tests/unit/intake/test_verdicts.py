"""What verdicts make of records: copies where the customer chose so, and its own word always."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import (
    DAY,
    NOW,
    TODAY,
    Record,
    envelope,
    flat,
    key_record,
    policy_of,
    reason_of,
    sort_all,
    verdict_record,
    workspace_record,
)
from topics import origin_verdicts
from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Source, SourceType
from workers.intake.dispositions import Clock, Disposition, Group
from workers.intake.policy import COPIES_PER_KEY, Applied, Policy
from workers.intake.sort import Sorter, Sorting

SUSPECT, COPY, BENIGN, HOSTILE = (
    VerdictKind.SUSPECT,
    VerdictKind.COPY,
    VerdictKind.BENIGN,
    VerdictKind.HOSTILE,
)
OWN, COPIED, OTHER = "https://www.good.com", "https://copy.example", "https://other.example"
SERVER = Source(id="server", type=SourceType.SERVER)
REHOSTED = "https://www-good-com.translate.goog"


def judged(
    *said: tuple[VerdictKind, str] | VerdictKind,
    origins: OriginPolicy = OriginPolicy.QUARANTINE,
    allowed: Sequence[str] = ("[*.]good.com",),
) -> Policy:
    """One key and a server's, with these verdicts; a kind alone is on copy.example."""
    verdicts = [(each, "copy.example") if isinstance(each, VerdictKind) else each for each in said]
    return policy_of(
        [key_record(), key_record("server", source="server")],
        [workspace_record(allowed=allowed, sources=[SERVER], origins=origins)],
        [verdict_record(*each, key=key) for each in verdicts for key in ("known", "server")],
    )


def sent(origin: str | None = None, url: str | None = None, key: str = "known", **fields: Any) -> bytes:
    witness = {} if origin is None else {"origin": origin}
    return envelope(key, page=None if url is None else {"url": url}, **witness, **fields)


@pytest.mark.parametrize(
    ("kind", "origins", "reason"),
    [
        (None, OriginPolicy.QUARANTINE, "foreign_origin"),
        (SUSPECT, OriginPolicy.QUARANTINE, "foreign_origin"),
        (COPY, OriginPolicy.QUARANTINE, "copied_origin"),
        (COPY, OriginPolicy.FLAG, "foreign_origin"),
        (BENIGN, OriginPolicy.QUARANTINE, "approved_origin"),
        (BENIGN, OriginPolicy.FLAG, "approved_origin"),
        (HOSTILE, OriginPolicy.QUARANTINE, "blocked_origin"),
        (HOSTILE, OriginPolicy.FLAG, "blocked_origin"),
    ],
)
def test_a_verdict_decides_about_its_host_and_no_other(
    kind: VerdictKind | None, origins: OriginPolicy, reason: str
) -> None:
    policy = judged(*([] if kind is None else [kind]), origins=origins)
    assert reason_of(policy, sent(COPIED, f"{COPIED}/a")) == reason
    assert reason_of(policy, sent(OWN, f"{OWN}/a")) == "accepted"
    assert reason_of(policy, sent(OTHER, f"{OTHER}/a")) == "foreign_origin"
    assert reason_of(policy, sent("https://www.copy.example", f"{OTHER}/a")) == "foreign_origin"


@pytest.mark.parametrize(
    ("kind", "record", "reason"),
    [
        (COPY, sent(COPIED, f"{OWN}/a"), "copied_origin"),  # whatever it claims
        (COPY, sent(OTHER, f"{COPIED}/a"), "foreign_origin"),  # the browser says otherwise
        (COPY, sent(OWN, f"{COPIED}/a"), "foreign_claim"),
        (COPY, sent(None, f"{COPIED}/a"), "copied_origin"),
        (COPY, sent("null", f"{COPIED}/a"), "copied_origin"),
        (COPY, sent(None, f"{COPIED}/a", key="server"), "accepted"),  # a server tells of a page
        (COPY, sent(None, f"{OWN}/a", referer=f"{COPIED}/a"), "copied_origin"),
        (COPY, sent("null", f"{OWN}/a", referer=f"{COPIED}/a"), "copied_origin"),
        (COPY, sent(None, None), "accepted"),
        (HOSTILE, sent(COPIED, f"{OWN}/a"), "blocked_origin"),
        (HOSTILE, sent(None, f"{COPIED}/a"), "blocked_origin"),
        (HOSTILE, sent(OWN, f"{COPIED}/a"), "foreign_claim"),  # the browser says otherwise
        (HOSTILE, sent(None, None), "accepted"),
        (HOSTILE, sent(None, f"{COPIED}/a", key="server"), "accepted"),  # a server tells of a page
        (HOSTILE, sent(COPIED, None, key="server"), "blocked_origin"),
        (COPY, sent(COPIED, None, key="server"), "copied_origin"),
        (BENIGN, sent(COPIED, f"{OWN}/a"), "approved_origin"),
        (BENIGN, sent(COPIED, f"{OTHER}/a"), "foreign_claim"),
        (BENIGN, sent(OWN, f"{COPIED}/a"), "approved_origin"),
        (BENIGN, sent(OTHER, f"{COPIED}/a"), "foreign_origin"),
    ],
)
def test_the_witness_is_judged_and_the_claim_where_there_is_none(
    kind: VerdictKind, record: bytes, reason: str
) -> None:
    assert reason_of(judged(kind), record) == reason


def test_the_customers_list_goes_before_the_judge_and_not_before_its_own_word() -> None:
    host = "www.good.com"
    assert reason_of(judged((COPY, host)), sent(OWN, f"{OWN}/a")) == "accepted"
    assert reason_of(judged((HOSTILE, host)), sent(OWN, f"{OWN}/a")) == "blocked_origin"
    assert reason_of(judged(HOSTILE, allowed=[]), sent(COPIED, f"{COPIED}/a")) == "blocked_origin"
    assert reason_of(judged(COPY, allowed=[]), sent(COPIED, f"{COPIED}/a")) == "accepted"


def test_a_rehost_of_the_customers_own_page_is_no_copy() -> None:
    policy = judged((COPY, "www-good-com.translate.goog"))
    assert reason_of(policy, sent(REHOSTED, f"{REHOSTED}/a")) == "rehosted"


def test_a_copys_records_lie_in_the_quarantine_of_their_source_and_a_blocked_ones_nowhere() -> None:
    copied = sort_all(judged(COPY), [Record(sent(COPIED, f"{OWN}/a"))])
    assert list(copied.lines) == [
        Group("acme", "site", TODAY, Disposition.QUARANTINED, Clock.QUARANTINE),
    ]
    blocked = sort_all(judged(HOSTILE), [Record(sent(COPIED, f"{OWN}/a"))])
    assert blocked.lines == {}
    ((refusal, tally),) = blocked.refused.rows()
    assert (refusal.reason, refusal.host, refusal.workspace) == ("blocked_origin", "copy.example", "acme")
    assert tally.records == 1


@pytest.mark.parametrize(("days", "reason"), [(30, "copied_origin"), (31, "foreign_origin")])
def test_what_a_quarantine_keeps_no_more_is_not_put_there(days: int, reason: str) -> None:
    policy = judged(COPY)
    late = NOW - days * DAY
    assert reason_of(policy, sent(COPIED), timestamp=late) == reason
    old = sort_all(policy, [Record(sent(COPIED), timestamp=late), Record(sent(COPIED))])
    assert flat(old.counts)["copied_origin"] == (2 if reason == "copied_origin" else 1)


@pytest.mark.parametrize(
    ("kind", "fresh", "stale"),
    [
        (COPY, "copied_origin", "foreign_origin"),
        (BENIGN, "approved_origin", "foreign_origin"),
        (HOSTILE, "blocked_origin", "blocked_origin"),
    ],
)
def test_old_verdicts_only_flag_and_open_nothing(kind: VerdictKind, fresh: str, stale: str) -> None:
    old = False
    policy = judged(kind)
    policy.verdicts_stale = lambda: old
    sorter = Sorter(policy)

    def reason() -> str:
        sorting = Sorting()
        sorter.sort(runs_of([Record(sent(COPIED, f"{COPIED}/a"))]), now=NOW, into=sorting)
        return next(iter(flat(sorting.counts)))

    assert reason() == fresh
    old = True
    assert reason() == stale
    old = False
    assert reason() == fresh


def test_a_change_counts_from_the_next_record_on() -> None:
    policy = judged()
    sorter, sorting = Sorter(policy), Sorting()
    record = Record(sent(COPIED, f"{COPIED}/a"))
    sorter.sort(runs_of([record]), now=NOW, into=sorting)
    for seq, kind in enumerate((COPY, HOSTILE, BENIGN), 1):
        policy.apply_verdict(verdict_record(kind, seq=seq))
        sorter.sort(runs_of([record]), now=NOW, into=sorting)
    reasons = ("foreign_origin", "copied_origin", "blocked_origin", "approved_origin")
    assert flat(sorting.counts) == dict.fromkeys(reasons, 1)


# -- the copy of them ---------------------------------------------------------------------------------


def test_the_highest_seq_wins_in_any_order() -> None:
    said = [verdict_record(SUSPECT, seq=1), verdict_record(COPY, seq=2), verdict_record(HOSTILE, seq=3)]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [2, 2, 0]):
        policy = Policy()
        for number in order:
            policy.apply_verdict(said[number])
        assert policy.verdicts("known")["copy.example"].kind is HOSTILE


@pytest.mark.parametrize(
    ("standing", "value", "outcome"),
    [
        (HOSTILE, None, Applied.TOMBSTONE),
        (HOSTILE, b"garbage", Applied.UNREADABLE),
        (HOSTILE, verdict_record(COPY, seq=9), Applied.FINAL),
        (HOSTILE, verdict_record(SUSPECT, seq=9), Applied.FINAL),
        (BENIGN, verdict_record(COPY, seq=9), Applied.FINAL),
        (COPY, verdict_record(SUSPECT, seq=9), Applied.FINAL),
        (HOSTILE, verdict_record(BENIGN, seq=1), Applied.OLDER),
        (
            HOSTILE,
            verdict_record(BENIGN, seq=9).replace(b'"confirmed":true', b'"confirmed":false'),
            Applied.UNREADABLE,
        ),
    ],
)
def test_nothing_opens_what_was_blocked_but_the_customers_word(
    standing: VerdictKind, value: bytes | None, outcome: Applied
) -> None:
    policy = policy_of([], [], [verdict_record(standing)])
    assert policy.apply_verdict(value) is outcome
    assert policy.verdicts("known")["copy.example"].kind is standing
    kept_out = {(origin_verdicts.NAME, outcome): 1} if outcome is not Applied.OLDER else {}
    assert policy.kept_out == kept_out
    assert policy.apply_verdict(verdict_record(BENIGN, seq=10)) is Applied.APPLIED


def test_a_suspicion_takes_no_room_and_forgets_no_decision() -> None:
    policy, told = Policy(), list[str]()
    policy.follow(told.append, told.append)
    assert policy.apply_verdict(verdict_record(SUSPECT)) is Applied.APPLIED
    assert not policy.judged
    assert policy.apply_verdict(verdict_record(COPY, seq=2)) is Applied.APPLIED
    assert policy.apply_verdict(verdict_record(COPY, seq=3)) is Applied.APPLIED
    assert told == ["known"]


def test_copies_of_a_key_are_bounded_and_the_customers_word_is_not() -> None:
    policy = Policy()
    for number in range(COPIES_PER_KEY):
        policy.apply_verdict(verdict_record(COPY, f"{number}.copy.example"))
    assert policy.apply_verdict(verdict_record(COPY, "one.more.example")) is Applied.BEYOND
    assert policy.apply_verdict(verdict_record(COPY, "one.more.example", key="other")) is Applied.APPLIED
    assert policy.apply_verdict(verdict_record(HOSTILE, "one.more.example")) is Applied.APPLIED
    assert policy.apply_verdict(verdict_record(HOSTILE, "7.copy.example", seq=2)) is Applied.APPLIED
    assert len(policy.verdicts("known")) == COPIES_PER_KEY + 1
