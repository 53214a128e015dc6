"""Quotas of write keys: exact at their limits, in whatever order times come, and in force as policy says."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runs import runs_of
from tests.unit.intake.making import (
    NOW,
    Quota,
    Record,
    envelope,
    flat,
    key_record,
    policy_of,
    workspace_record,
)
from topics.workspaces import OverQuota
from topics.write_keys import KeyState
from workers.intake import allowances
from workers.intake.allowances import Allowances
from workers.intake.dispositions import Disposition
from workers.intake.policy import Policy
from workers.intake.quotas import BUCKETS_MAX, UNIT, Limit, Quotas
from workers.intake.refusals import HOSTS, HOSTS_TOLD, OTHERS
from workers.intake.sort import Sorter, Sorting


def limit(records: int | None = None, bytes_: int | None = None, burst: int = 1) -> Limit:
    """As `limit_of` makes it."""
    return Limit(OverQuota.FLAG, records, bytes_, (records or 0) * burst * UNIT, (bytes_ or 0) * burst * UNIT)


def taken(quotas: Quotas, of: Limit, times: Sequence[int], size: int = 1) -> list[bool]:
    return [quotas.take("k", of, NOW + time, size) for time in times]


def test_a_full_bucket_and_then_the_rate() -> None:
    quotas, of = Quotas(), limit(records=4, burst=2)
    assert taken(quotas, of, [0] * 9) == [True] * 8 + [False]
    # one record each 250 ms: not 1 ms sooner, and what is refused costs nothing
    assert taken(quotas, of, [249, 249, 250, 250, 499, 500]) == [False, False, True, False, False, True]


def test_long_idle_does_not_overflow_the_burst() -> None:
    quotas, of = Quotas(), limit(records=3, burst=1)
    for day in (0, 86_400_000, 10**12):
        assert taken(quotas, of, [day] * 4) == [True, True, True, False]


def test_a_time_before_the_newest_fills_nothing() -> None:
    quotas, of = Quotas(), limit(records=1)
    assert taken(quotas, of, [5000, 0, 5999, 4000, 6000, 2000]) == [True, False, False, False, True, False]


def test_nor_does_it_take_back_what_was_filled() -> None:
    quotas, of = Quotas(), limit(records=1, burst=2)
    assert taken(quotas, of, [5000, 4000, 4000, 5999, 6000]) == [True, True, False, False, True]


def test_bytes_are_counted_and_no_record_is_too_large_for_ever() -> None:
    quotas, of = Quotas(), limit(bytes_=100, burst=1)
    assert taken(quotas, of, [0, 0, 0], size=40) == [True, True, False]
    assert taken(quotas, of, [199, 200], size=40) == [False, True]
    whole = Quotas()
    # 250 bytes of a bucket of 100: once it is full; then 150 are owed, and 40 waited for
    assert taken(whole, of, [0], size=250) == [True]
    assert taken(whole, of, [1899, 1900], size=40) == [False, True]
    assert taken(whole, of, [2899, 2900], size=250) == [False, True]


def test_both_limits_hold_and_what_one_refuses_costs_nothing_of_the_other() -> None:
    quotas, of = Quotas(), limit(records=2, bytes_=100, burst=1)
    assert taken(quotas, of, [0], size=80) == [True]
    assert taken(quotas, of, [0], size=80) == [False]
    assert taken(quotas, of, [0], size=20) == [True]
    assert taken(quotas, of, [0], size=0) == [False]


def test_another_limit_holds_from_the_next_record_on() -> None:
    quotas = Quotas()
    assert taken(quotas, limit(records=100, burst=10), [0]) == [True]
    assert taken(quotas, limit(records=2), [0] * 3) == [True, True, False]
    assert taken(quotas, limit(bytes_=10), [0, 0], size=10) == [True, False]
    assert taken(quotas, limit(records=2, bytes_=10), [0]) == [False]
    assert taken(quotas, limit(records=2, bytes_=10), [1000], size=10) == [True]


@given(
    st.lists(st.integers(0, 20_000), max_size=200),
    st.integers(1, 50),
    st.integers(1, 5),
)
def test_never_more_than_burst_and_rate_in_any_span(times: list[int], rate: int, burst: int) -> None:
    quotas, of = Quotas(), limit(records=rate, burst=burst)
    newest, passed = 0, Counter[int]()
    for time, was in zip(times, taken(quotas, of, times), strict=True):
        newest = max(newest, time)
        passed[newest] += was
    edges = sorted(passed)
    for start in edges:
        for end in (edge for edge in edges if edge >= start):
            within = sum(count for time, count in passed.items() if start <= time <= end)
            assert within * 1000 <= rate * burst * 1000 + rate * (end - start)


def test_what_is_remembered_is_bounded() -> None:
    quotas, of = Quotas(), limit(records=1)
    for number in range(BUCKETS_MAX + 500):
        assert quotas.take(f"k{number}", of, NOW, 1)
    assert len(quotas) == BUCKETS_MAX
    assert not quotas.take(f"k{BUCKETS_MAX + 499}", of, NOW, 1)


# -- by policy ---------------------------------------------------------------------------------------


def policy_with(quota: Quota | None, allowed: Sequence[str] = ()) -> Policy:
    return policy_of(
        [key_record(), key_record("other"), key_record("bad", KeyState.REVOKED)],
        [workspace_record(quota=quota, allowed=allowed)],
    )


def reasons(sorter: Sorter, values: Sequence[bytes], used: Allowances, at: int = NOW) -> dict[str, int]:
    sorting = Sorting(used)
    sorter.sort(runs_of([Record(value, n, at) for n, value in enumerate(values)]), now=NOW, into=sorting)
    return flat(sorting.counts)


@pytest.mark.parametrize(
    ("over", "counts"),
    [
        (OverQuota.FLAG, {"accepted": 3, "over_quota_flagged": 7}),
        (OverQuota.REJECT, {"accepted": 3, "over_quota_rejected": 7}),
        (OverQuota.OFF, {"accepted": 10}),
    ],
)
def test_what_is_over_becomes_what_the_workspace_chose(over: OverQuota, counts: dict[str, int]) -> None:
    sorter, used = Sorter(policy_with(Quota(over, 3))), allowances.fresh()
    assert reasons(sorter, [envelope()] * 10, used) == counts
    assert reasons(sorter, [envelope("other")], used) == {"accepted": 1}  # each key has its own
    assert reasons(sorter, [envelope()], used, at=NOW + 1000) == {"accepted": 1}


def test_bytes_are_those_of_the_record() -> None:
    value = envelope()
    sorter = Sorter(policy_with(Quota(OverQuota.REJECT, quota_bytes=2 * len(value))))
    assert reasons(sorter, [value] * 3, allowances.fresh()) == {"accepted": 2, "over_quota_rejected": 1}


def test_the_quota_goes_on_from_batch_to_batch_and_is_held_a_partition() -> None:
    sorter, used = Sorter(policy_with(Quota(OverQuota.REJECT, 3))), allowances.fresh()
    assert reasons(sorter, [envelope()] * 2, used) == {"accepted": 2}
    assert reasons(sorter, [envelope()] * 2, used) == {"accepted": 1, "over_quota_rejected": 1}
    assert reasons(sorter, [envelope()] * 2, allowances.fresh()) == {"accepted": 2}


def test_what_another_rule_refuses_or_flags_keeps_its_reason() -> None:
    own, copy = envelope(origin="https://good.com"), envelope(origin="https://copy.example")
    for over, counts in (
        (OverQuota.FLAG, {"accepted": 1, "foreign_origin": 2, "over_quota_flagged": 1, "revoked_key": 2}),
        (OverQuota.REJECT, {"accepted": 1, "foreign_origin": 1, "over_quota_rejected": 2, "revoked_key": 2}),
    ):
        sorter = Sorter(policy_with(Quota(over, 2), ["good.com"]))
        # what is refused anyhow takes nothing of the quota
        values = [envelope("bad"), own, copy, copy, own, envelope("bad")]
        assert reasons(sorter, values, allowances.fresh()) == counts


def test_a_change_of_policy_holds_from_the_next_record_on() -> None:
    policy, used = policy_with(None), allowances.fresh()
    sorter = Sorter(policy)
    assert reasons(sorter, [envelope()] * 9, used) == {"accepted": 9}
    policy.apply_workspace(workspace_record(quota=Quota(OverQuota.REJECT, 1), seq=2))
    assert reasons(sorter, [envelope()] * 9, used) == {"accepted": 1, "over_quota_rejected": 8}
    policy.apply_workspace(workspace_record(quota=Quota(OverQuota.FLAG, 1), seq=3))
    assert reasons(sorter, [envelope()] * 9, used) == {"over_quota_flagged": 9}
    policy.apply_workspace(workspace_record(quota=Quota(OverQuota.OFF, 1), seq=4))
    assert reasons(sorter, [envelope()] * 9, used) == {"accepted": 9}


def test_nobody_is_held_to_a_quota_where_there_is_none_to_be_asked() -> None:
    sorter = Sorter(policy_with(Quota(OverQuota.REJECT, 1)))
    assert reasons(sorter, [envelope()] * 5, Allowances(None)) == {"accepted": 5}


def test_rejected_records_are_counted_by_host_in_bounded_memory() -> None:
    policy = policy_with(Quota(OverQuota.REJECT, 1))
    sorter, sorting = Sorter(policy), Sorting()
    values = [envelope(origin=f"https://h{n}.example") for n in range(500)]
    sorter.sort(runs_of([Record(value, n) for n, value in enumerate(values)]), now=NOW, into=sorting)
    rows = {refusal.host: tally.records for refusal, tally in sorting.refused.rows()}
    assert sum(rows.values()) == 499
    assert len(rows) == HOSTS_TOLD + 1
    assert rows[OTHERS] == 499 - HOSTS_TOLD
    plan = sorter._decided.plan("known", "acme", NOW)
    assert plan is not None
    assert len(plan.over) <= HOSTS
    flagging = Sorter(policy_with(Quota(OverQuota.FLAG, 1), ["good.com"]))
    values = [
        envelope(origin="https://good.com", page={"url": f"https://h{n}.good.com"}) for n in range(3000)
    ]
    flagging.sort(runs_of([Record(value, n) for n, value in enumerate(values)]), now=NOW, into=sorting)
    plan = flagging._decided.plan("known", "acme", NOW)
    assert plan is not None
    assert len(plan.over) <= 1024


def test_flagged_records_over_the_quota_share_the_object_of_the_flagged() -> None:
    sorting = Sorting()
    Sorter(policy_with(Quota(OverQuota.FLAG, 1))).sort(
        runs_of([Record(envelope(n=n), n) for n in range(3)]), now=NOW, into=sorting
    )
    assert {group.disposition: len(lines) for group, lines in sorting.lines.items()} == {
        Disposition.ACCEPTED: 1,
        Disposition.FLAGGED: 2,
    }
