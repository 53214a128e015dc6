"""The judge's rules: what makes a copy, what holds a verdict back, and that nothing counts twice."""

import random
from typing import Any

import msgspec
import pytest

from tests.unit.origins.judging import (
    BEGIN,
    COPY,
    KEY,
    LEARNT,
    OWN,
    Site,
    folded,
    judged,
    kinds,
    learnt,
    page_hashes,
    visitor_hashes,
)
from topics.origin_observations import OriginObservation
from topics.origin_verdicts import VerdictKind
from workers.origins.judge import Judge
from workers.origins.judge_state import DAY, EXPIRY, HOUR, MAX_HOSTS, MINUTE
from workers.origins.weighing import HELD


def test_a_copy_of_the_pages_with_other_evidence_is_a_copy() -> None:
    (verdict,) = judged()
    assert (verdict.key, verdict.host, verdict.kind) == (KEY, COPY, VerdictKind.COPY)
    assert "canonical_shadow" in verdict.families
    assert verdict.evidence["pages_found"] == 12
    assert "12 of 12 pages" in verdict.words


@pytest.mark.parametrize(
    ("why", "evidence"),
    [
        ("pages", {"pages": range(9)}),
        ("pages", {"pages": [*range(12), *range(5000, 5004)]}),
        ("networks", {"networks": 2}),
        ("visitors", {"visitors": 5}),
        ("visitors", {"visitors": 12, "pages": range(40)}),
        ("no_second_family", {"visitors": 12, "canonical_shadows": 0, "anonymous_ids": visitor_hashes(
            ["own visitor 1", *(f"v{n}" for n in range(12))])}),
        ("user_overlap", {"user_ids": visitor_hashes(["user 1", "user 2"])}),
        ("own_domain", {"host": "new.goodshop.example"}),
        ("rehost", {"host": "www-goodshop-example.translate.goog"}),
        ("rewritten", {"host": "www-goodshop-example.proxy.college-domain.com"}),
        ("rewritten", {"host": "www.goodshop.example.proxy.college-domain.com"}),
        ("local", {"host": "192.168.1.7"}),
        ("local", {"host": "shop.test"}),
    ],
)  # fmt: skip
def test_what_holds_a_copy_back_is_named(why: str, evidence: dict[str, Any]) -> None:
    (verdict,) = judged(**evidence)
    assert verdict.kind is VerdictKind.SUSPECT
    assert why in verdict.held
    assert HELD[why] in verdict.words


def test_one_user_of_the_customers_may_be_written_into_the_copied_page() -> None:
    (verdict,) = judged(user_ids=visitor_hashes(["user 1"]))
    assert verdict.kind is VerdictKind.COPY


@pytest.mark.parametrize("pages", [range(4), [*range(5), *range(5000, 5005)], range(5000, 5030)])
def test_other_pages_are_not_even_suspect(pages: list[int]) -> None:
    assert judged(pages=pages) == []


@pytest.mark.parametrize(
    ("days", "expected"), [(13, []), (15, [(COPY, VerdictKind.SUSPECT)]), (22, [(COPY, VerdictKind.COPY)])]
)
def test_it_learns_then_shadows_then_judges(days: int, expected: list[tuple[str, VerdictKind]]) -> None:
    assert kinds(judged(days=days)) == expected


def test_the_evidence_must_stand_for_a_while() -> None:
    site, judge = learnt()
    assert folded(judge, site.settled([site.copied()], minutes=2)) == []
    assert kinds(folded(judge, site.settled([], minutes=2))) == [(COPY, VerdictKind.COPY)]


def test_a_host_that_was_there_in_learning_is_spared_until_its_volume_rises() -> None:
    site, judge = learnt(10)
    for _ in range(LEARNT - 10):
        folded(judge, [site.copied(records=5), *site.learnt(1)])
    assert folded(judge, site.settled([site.copied(records=5)])) == []  # suspected long ago
    rising = [site.copied(records=20)]
    assert kinds(folded(judge, site.settled(rising))) == [(COPY, VerdictKind.COPY)]


def test_a_host_with_a_large_part_of_the_traffic_brakes_every_verdict_of_the_key() -> None:
    site, judge = learnt()
    moved = [site.seen("new-home.com", 400)]
    verdicts = folded(judge, site.settled([*moved, site.copied()], minutes=4))
    assert [(verdict.kind, verdict.held) for verdict in verdicts] == [(VerdictKind.SUSPECT, ("host_share",))]
    assert judge.braked == [("w", COPY, "host_share")]


def test_too_large_a_quarantine_brakes() -> None:
    site, judge = learnt()
    large = site.seen(COPY, 60, **{name: getattr(site.copied(), name) for name in (
        "pages", "anonymous_ids", "networks", "canonical_shadows")})  # fmt: skip
    verdicts = folded(judge, site.settled([site.own(1000), large]))
    assert [verdict.held for verdict in verdicts] == [("quarantine_share",)]


def test_a_verdict_that_stands_is_not_given_again_nor_taken_back() -> None:
    site, judge = learnt()
    folded(judge, site.settled([site.copied()]))
    flood = [site.seen(COPY, 5000, user_ids=visitor_hashes(["user 1", "user 2"])) for _ in range(5)]
    assert folded(judge, site.settled(flood)) == []
    assert judge.keys[KEY].hosts[COPY].issued == VerdictKind.COPY


def test_the_own_pages_are_learnt_from_the_customers_hosts_alone() -> None:
    """Else a forger could teach the judge that a page is the customer's by claiming so."""
    site, judge = learnt()
    forged = page_hashes(range(7000, 7020))
    folded(judge, [site.seen("forger.com", 20, pages=forged, claims={OWN: 20})])
    assert folded(judge, site.settled([site.copied(pages=range(7000, 7020))])) == []


def test_a_host_that_the_customer_lists_is_forgotten_as_foreign() -> None:
    site, judge = learnt()
    folded(judge, site.settled([site.copied()]))
    folded(judge, [site.seen(COPY, 5, own=True)])
    key = judge.keys[KEY]
    assert COPY not in key.hosts
    assert COPY in key.own_hosts


def test_what_comes_again_changes_nothing() -> None:
    site, once = learnt()
    twice = Judge.restored(once.snapshot())
    stream = [*(site.own() for _ in range(100)), *site.settled([site.copied()])]
    expected = folded(once, stream)
    got = [verdict for seen in stream for verdict in (*twice.fold(seen), *twice.fold(seen))]
    assert got == expected
    late = random.Random(1).sample(stream, 60)
    assert folded(twice, late) == []
    assert twice.snapshot() == once.snapshot()


def test_a_longer_span_of_the_same_offsets_adds_only_what_is_new() -> None:
    """A worker that took over has observed again what the one before had not committed."""
    site, judge = learnt()
    short = site.copied()
    longer = msgspec.structs.replace(short, end=short.end + 30, records=20, canonical_shadows=20)
    folded(judge, [short, longer])
    assert judge.keys[KEY].hosts[COPY].records == 20


def test_any_interleaving_of_chains_ends_with_the_same_verdicts() -> None:
    site, _ = learnt()
    copies = [
        msgspec.structs.replace(site.copied(pages=range(number, number + 6), records=5), partition=number % 3)
        for number in range(9)
    ]
    settled = site.settled([])
    expected = None
    for seed in range(10):
        rng = random.Random(seed)
        chains = [[seen for seen in copies if seen.partition == number] for number in range(3)]
        mixed: list[OriginObservation] = []
        while any(chains):
            mixed.append(rng.choice([chain for chain in chains if chain]).pop(0))
        verdicts = folded(learnt()[1], [*mixed, *settled])
        expected = expected or verdicts
        assert verdicts == expected
        assert kinds(verdicts) == [(COPY, VerdictKind.COPY)]


def test_a_snapshot_goes_on_as_the_judge_itself() -> None:
    site, judge = learnt()
    stream = site.settled([site.copied()])
    expected = None
    for cut in range(len(stream)):
        first = Judge.restored(judge.snapshot())
        before = folded(first, stream[:cut])
        after = folded(Judge.restored(first.snapshot()), stream[cut:])
        expected = expected or before + after
        assert before + after == expected
    assert kinds(expected or []) == [(COPY, VerdictKind.COPY)]


def test_hosts_are_bounded_and_what_went_is_not_counted_again() -> None:
    site = Site()
    judge = Judge()
    flood = [site.seen(f"host{number}.com", 1) for number in range(10 * MAX_HOSTS)]
    folded(judge, [*flood, *site.learnt(1), *flood])
    key = judge.keys[KEY]
    assert len(key.hosts) <= MAX_HOSTS
    assert sum(key.hours.values()) == 24 * 1000 + len(flood)


def test_a_host_that_is_issued_a_verdict_survives_a_flood_of_hosts() -> None:
    site, judge = learnt()
    folded(judge, site.settled([site.copied()]))
    folded(judge, [site.seen(f"host{number}.com", 100) for number in range(3 * MAX_HOSTS)])
    assert judge.keys[KEY].hosts[COPY].issued == VerdictKind.COPY


def test_hosts_and_keys_expire() -> None:
    site = Site()
    judge = Judge()
    folded(judge, [*site.learnt(1), site.copied()])
    site.now += EXPIRY + HOUR
    folded(judge, [site.own()])
    assert COPY not in judge.keys[KEY].hosts
    judge.expire(site.now + EXPIRY + DAY)
    assert judge.keys == {}


def test_hashes_of_another_key_are_not_compared() -> None:
    site, judge = learnt()
    rotated = msgspec.structs.replace(site.copied(), hash_generation=2)
    assert folded(judge, site.settled([rotated])) == []


def test_hashes_of_a_worker_that_has_the_old_key_yet_are_not_compared() -> None:
    site, judge = learnt()
    folded(judge, [msgspec.structs.replace(site.own(), hash_generation=2)])
    assert folded(judge, site.settled([site.copied()])) == []


def test_another_workspaces_key_learns_anew() -> None:
    site, judge = learnt()
    copied = msgspec.structs.replace(site.copied(), workspace="other")
    assert folded(judge, [copied]) == []
    assert judge.keys[KEY].learning_since is None


def test_time_is_the_brokers_alone() -> None:
    """No clock of the process: the same observations a year later give the same verdicts but for the year."""
    site, judge = learnt()
    verdicts = folded(judge, site.settled([site.copied()]))
    later = Site(BEGIN + 365 * DAY)
    shifted = folded(Judge(), [*later.learnt(), *later.settled([later.copied()])])
    assert [v.at + 365 * DAY for v in verdicts] == [v.at for v in shifted]
    assert verdicts[0].at % MINUTE == 0
