"""What was disposed of is refused day by day, whatever policy says now; other days and clocks go on."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import (
    DAY,
    NOW,
    Quota,
    Record,
    envelope,
    flat,
    key_record,
    policy_of,
    sort_all,
    verdict_record,
    workspace_record,
)
from topics.workspaces import OriginPolicy, OverQuota
from workers.intake.disposed import NOTHING, Disposed, Span
from workers.intake.dispositions import Clock, Disposition
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, Sorting

MIDNIGHT = NOW - NOW % DAY
COPY = {"origin": "https://copy.example"}


def day(ago: int) -> str:
    return datetime.fromtimestamp((NOW - ago * DAY) / 1000, UTC).date().isoformat()


def policy(days: int | None = None, quota: Quota | None = None) -> Policy:
    account = workspace_record(
        allowed=["acme.example"], days=days, origins=OriginPolicy.QUARANTINE, quota=quota
    )
    return policy_of([key_record(), key_record("other", source="shop")], [account], [verdict_record()])


def records(agos: Sequence[int], key: str = "known", **fields: object) -> list[Record]:
    return [Record(envelope(key, **fields), offset, MIDNIGHT - ago * DAY) for offset, ago in enumerate(agos)]


def test_a_day_that_was_disposed_of_is_refused_and_its_neighbours_are_not() -> None:
    known = policy()
    known.disposed_of("acme", "site", day(40), Clock.MAIN)
    known.disposed_of("acme", "site", day(42), Clock.MAIN)
    found = sort_all(known, records([43, 42, 42, 41, 40, 40, 40, 39, 0]))
    assert flat(found.counts) == {"accepted": 4, "past_retention": 5}
    assert {group.day for group in found.lines} == {day(43), day(41), day(39), day(0)}


def test_to_the_millisecond() -> None:
    known = policy()
    known.disposed_of("acme", "site", day(40), Clock.MAIN)
    begins, ends = MIDNIGHT - 40 * DAY, MIDNIGHT - 39 * DAY
    times = [begins - 1, begins, ends - 1, ends]
    found = sort_all(known, [Record(envelope(), number, at) for number, at in enumerate(times)])
    assert flat(found.counts) == {"accepted": 2, "past_retention": 2}


def test_other_sources_and_workspaces_go_on() -> None:
    known = policy()
    known.disposed_of("acme", "site", day(40), Clock.MAIN)
    known.disposed_of("zoo", "shop", day(40), Clock.MAIN)
    assert flat(sort_all(known, records([40], "other")).counts) == {"accepted": 1}


@pytest.mark.parametrize("quota", [None, Quota(OverQuota.FLAG, quota_records=1, quota_burst=1)])
def test_what_was_decided_before_is_forgotten(quota: Quota | None) -> None:
    known = policy(quota=quota)
    sorter = Sorter(known)
    before, after = Sorting(), Sorting()
    sorter.sort(runs_of(records([40] * 3)), now=NOW, into=before)
    assert Disposition.REJECTED not in before.counts
    known.disposed_of("acme", "site", day(40), Clock.MAIN)
    sorter.sort(runs_of(records([40] * 3)), now=NOW, into=after)
    assert flat(after.counts) == {"past_retention": 3}
    ((refusal, _),) = after.refused.rows()
    assert refusal.reason == "past_retention"


@pytest.mark.parametrize("quota", [None, Quota(OverQuota.FLAG, quota_records=1, quota_burst=1)])
def test_without_its_quarantine_a_day_keeps_copies_as_one_past_it_does(quota: Quota | None) -> None:
    known = policy(quota=quota)
    assert flat(sort_all(known, records([9] * 3, **COPY)).counts) == {"copied_origin": 3}
    known.disposed_of("acme", "site", day(9), Clock.QUARANTINE)
    assert flat(sort_all(known, records([9] * 3, **COPY)).counts) == {"foreign_origin": 3}
    assert flat(sort_all(known, records([40] * 3, **COPY)).counts) == {"foreign_origin": 3}
    known.disposed_of("acme", "site", day(9), Clock.MAIN)
    assert flat(sort_all(known, records([9] * 3, **COPY)).counts) == {"past_retention": 3}


def test_a_revoked_key_stays_one() -> None:
    """The first rule wins: a day that is gone says nothing of what is refused anyway."""
    known = policy(days=5)
    known.disposed_of("acme", "site", day(3), Clock.MAIN)
    assert flat(sort_all(known, records([7, 3, 2])).counts) == {"past_retention": 2, "accepted": 1}


def test_spans_are_as_long_as_they_can_be() -> None:
    found = Disposed()
    assert found.at("acme", "site", NOW) is NOTHING
    for each in ("1970-01-03", "1970-01-06"):
        found.add("acme", "site", each, Clock.MAIN)
    assert found.at("acme", "site", 2 * DAY) == Span(frozenset({Clock.MAIN}), 2 * DAY, 3 * DAY)
    assert found.at("acme", "site", 3 * DAY) == Span(frozenset(), 3 * DAY, 5 * DAY)
    assert found.at("acme", "site", 0) == Span(frozenset(), NOTHING.since, 2 * DAY)
    assert found.at("acme", "site", 6 * DAY) == Span(frozenset(), 6 * DAY, NOTHING.until)
