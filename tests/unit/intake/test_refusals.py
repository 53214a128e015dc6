"""What was refused is counted by key, reason and host: exactly, and in bounded memory."""

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import NOW, Record, envelope, flat, key_record, policy_of, workspace_record
from topics.write_keys import KeyState
from workers.intake.decider import NAMED_MAX
from workers.intake.refusals import (
    HOSTS,
    HOSTS_TOLD,
    KEYS,
    OTHER_SOURCES,
    OTHERS,
    SOURCES,
    Refusal,
    Refusals,
    Tally,
)
from workers.intake.sort import Sorter, Sorting, SortLimits

POLICY = policy_of(
    [
        key_record("good"),
        key_record("bad", KeyState.REVOKED),
        key_record("worse", KeyState.ABUSED),
    ],
    [workspace_record(allowed=["shop.example"])],
)


def counted(sorting: Sorting) -> dict[tuple[str, str, str], int]:
    """(key, reason, host) → records."""
    return {
        (refusal.write_key, refusal.reason, refusal.host): tally.records
        for refusal, tally in sorting.refused.rows()
    }


def test_each_key_reason_and_host_has_its_count_times_and_offsets() -> None:
    values = [
        envelope("good", origin="https://copy.example"),
        envelope("bad", origin="https://copy.example"),
        envelope("worse"),
        envelope("bad", origin="https://other.example"),
        envelope("bad", origin="https://copy.example", referer="https://shop.example/"),
        envelope("bad"),
        b"not JSON",
    ]
    sorting, sorter = Sorting(), Sorter(POLICY)
    for first in (0, 100):  # the second time from what was kept
        records = [Record(value, first + n, NOW + first + n) for n, value in enumerate(values)]
        sorter.sort(runs_of(records), now=NOW, into=sorting)
    assert counted(sorting) == {
        ("bad", "revoked_key", "copy.example"): 4,
        ("bad", "revoked_key", "other.example"): 2,
        ("bad", "revoked_key", ""): 2,
        ("worse", "abused_key", ""): 2,
    }
    rows = dict(sorting.refused.rows())
    tally = rows[Refusal("acme", "site", "bad", "revoked_key", "copy.example")]
    assert (tally.first_at, tally.last_at) == (NOW + 1, NOW + 104)
    assert (tally.first_offset, tally.last_offset) == (1, 104)
    assert flat(sorting.counts)["revoked_key"] == 8


@pytest.mark.parametrize("hosts", [1, 3, 30])
def test_each_refusal_of_a_chunk_has_its_first_and_last_record_however_many_there_are(hosts: int) -> None:
    values = [envelope("bad", origin=f"https://h{n % hosts}.example") for n in range(4 * hosts)]
    records = [Record(value, n, NOW + n) for n, value in enumerate(values)]
    sorting = Sorting()
    Sorter(POLICY).sort(runs_of(records), now=NOW, into=sorting)
    told = {
        refusal.host: (tally.first_offset, tally.last_offset, tally.first_at, tally.last_at)
        for refusal, tally in sorting.refused.rows()
        if refusal.host != OTHERS
    }
    assert len(told) == min(hosts, HOSTS_TOLD)
    for host, ends in told.items():
        first = int(host[1:].partition(".")[0])
        last = first + 3 * hosts
        assert ends == (first, last, NOW + first, NOW + last)


def test_a_key_with_invented_hosts_is_counted_in_bounded_memory() -> None:
    records = [Record(envelope("bad", origin=f"https://h{n}.example"), n) for n in range(500)]
    records += [Record(envelope("bad", origin="https://h0.example"), 500 + n) for n in range(40)]
    sorting = Sorting()
    Sorter(POLICY).sort(runs_of(records), now=NOW, into=sorting)
    rows = counted(sorting)
    assert sum(rows.values()) == 540
    assert len(rows) == HOSTS_TOLD + 1
    assert rows["bad", "revoked_key", "h0.example"] == 41
    assert rows["bad", "revoked_key", OTHERS] == 540 - 41 - (HOSTS_TOLD - 1)


def test_more_keys_than_are_told_apart_are_counted_together() -> None:
    refusals = Refusals()
    for n in range(10 * KEYS):
        for host in range(2 * HOSTS):
            refusals.count(Refusal("acme", "site", f"k{n}", "revoked_key", f"h{host}"), Tally(1, 5, 6, n, n))
    rows = dict(refusals.rows())
    assert sum(tally.records for tally in rows.values()) == 10 * KEYS * 2 * HOSTS
    assert len(rows) <= (KEYS + 1) * (HOSTS_TOLD + 1)
    assert (
        sum(tally.records for key, tally in rows.items() if key.write_key == OTHERS) == 9 * KEYS * 2 * HOSTS
    )


def test_more_sources_than_are_told_apart_are_counted_together_by_reason() -> None:
    refusals, many = Refusals(), 4 * (KEYS + SOURCES)
    for n in range(many):
        for reason in ("revoked_key", "abused_key"):
            refusals.count(Refusal(f"w{n}", f"s{n}", f"k{n}", reason, f"h{n}"), Tally(1, 5, 6, n, n))
    rows = dict(refusals.rows())
    assert sum(tally.records for tally in rows.values()) == 2 * many
    assert len(rows) <= KEYS + SOURCES + 2 * (HOSTS_TOLD + 1)
    others = [refusal for refusal in rows if refusal.source == OTHER_SOURCES]
    assert {(each.workspace, each.write_key) for each in others} == {("_platform", OTHERS)}
    assert {each.reason for each in others} == {"revoked_key", "abused_key"}


def test_the_first_unknown_keys_of_a_batch_are_named_and_the_others_counted_together() -> None:
    records = [Record(envelope("mistyped"), n) for n in range(5)]
    records += [Record(envelope(f"invented{n}"), 5 + n) for n in range(1000)]
    records += [Record(envelope("mistyped"), 1005 + n) for n in range(5)]
    sorting = Sorting()
    Sorter(POLICY, SortLimits(unknown_key_bytes=0)).sort(runs_of(records), now=NOW, into=sorting)
    rows = counted(sorting)
    assert rows["mistyped", "unknown_key_budget", ""] == 10
    assert rows[OTHERS, "unknown_key_budget", ""] == 1000 - (NAMED_MAX - 1)
    assert len(rows) == NAMED_MAX + 1
    assert len(sorting.unknown_refused) == NAMED_MAX + 1


def test_a_key_that_nobody_could_register_is_not_named() -> None:
    records = [Record(envelope("k" * length), length) for length in (128, 129, 200_000)]
    sorting = Sorting()
    Sorter(POLICY, SortLimits(unknown_key_bytes=0)).sort(runs_of(records), now=NOW, into=sorting)
    assert counted(sorting) == {
        ("k" * 128, "unknown_key_budget", ""): 1,
        (OTHERS, "unknown_key_budget", ""): 2,
    }


def test_a_key_that_is_revoked_meanwhile_is_counted_from_then_on() -> None:
    policy = policy_of([key_record("k")], [workspace_record()])
    sorting, sorter = Sorting(), Sorter(policy)
    sorter.sort(runs_of([Record(envelope("k"), 0)]), now=NOW, into=sorting)
    policy.apply_write_key(key_record("k", KeyState.REVOKED, seq=2))
    sorter.sort(runs_of([Record(envelope("k"), 1)]), now=NOW, into=sorting)
    assert counted(sorting) == {("k", "revoked_key", ""): 1}
