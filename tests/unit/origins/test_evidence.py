"""The figures that the judge weighs, against their published definitions."""

import random

import pytest

from workers.origins.evidence import concentration, cusum, poisson_reference, wilson
from workers.origins.lookalike import is_local, looks_like, rewrites, within
from workers.origins.sketches import Sketch
from workers.origins.spans import PIECES, Spans

OWN = ["www.goodshop.example", "goodshop.co.uk"]


@pytest.mark.parametrize(
    ("found", "trials", "bound"),
    [(5, 5, 0.57), (10, 10, 0.72), (20, 20, 0.84), (0, 10, 0.0), (9, 10, 0.60), (0, 0, 0.0)],
)
def test_wilson(found: int, trials: int, bound: float) -> None:
    assert wilson(found, trials) == pytest.approx(bound, abs=0.005)


def test_the_cusum_stays_low_on_the_usual_and_alarms_on_a_rise() -> None:
    assert poisson_reference(1, 5) == pytest.approx(4 / 1.6094, abs=0.001)  # Lucas 1985, (2.4)
    rng = random.Random(1)
    usual = [sum(rng.random() < 0.01 for _ in range(1000)) for _ in range(200)]  # about Poisson(10)
    assert cusum(usual, 10) < 0.2
    assert cusum([*usual, 60, 60, 60], 10) > 1


def test_a_day_and_its_night_are_no_rise() -> None:
    days = [25 if 8 <= hour % 24 <= 20 else 1 for hour in range(72)]
    assert cusum(days, sum(days) / len(days)) < 1


def test_concentration_counts_only_where_own_visitors_are_not_the_same() -> None:
    assert concentration({"a": 8, "b": 2}, {"b": 5, "c": 5}) == 0.8
    assert concentration({"a": 8, "b": 2}, {"a": 5, "c": 5}) == 0
    assert concentration({}, {"a": 1}) == 0


def test_a_sketch_holds_the_smallest_in_whatever_order_they_come() -> None:
    rng = random.Random(2)
    seen = [rng.randrange(1 << 64) for _ in range(2000)]
    sketches = []
    for _ in range(3):
        rng.shuffle(seen)
        sketch = Sketch(64)
        for start in range(0, len(seen), 100):
            sketch.add(seen[start : start + 100])
        sketches.append((list(sketch.values), sketch.complete_below))
    assert sketches[0] == sketches[1] == sketches[2]
    assert sketches[0][0] == sorted(seen)[:64]


def test_a_sketch_estimates_how_many_there_are() -> None:
    rng = random.Random(3)
    sketch = Sketch(1024)
    sketch.add(rng.randrange(1 << 64) for _ in range(50_000))
    assert sketch.count() == pytest.approx(50_000, rel=0.1)


def test_sets_are_compared_only_where_both_can_tell() -> None:
    rng = random.Random(4)
    own_set = [rng.randrange(1 << 64) for _ in range(10_000)]
    own = Sketch(512)
    own.add(own_set)
    mine = Sketch(4096)
    mine.add(own_set[:1000])
    trials, found = mine.compared(own)
    assert found == trials  # all of them are the other's, and none is taken for foreign that was cut off
    assert 20 < trials < 100


@pytest.mark.parametrize("mine", [3, 40, 2000])
def test_a_comparison_counts_what_both_have(mine: int) -> None:
    """Whichever of its two ways is the shorter one."""
    rng = random.Random(mine)
    everything = [rng.randrange(1 << 64) for _ in range(3000)]
    own, other = Sketch(4096), Sketch(4096)
    own.add(everything[:1500])
    other.add(seen := rng.sample(everything, mine))
    assert other.compared(own) == (mine, len({*seen} & {*everything[:1500]}))


def test_a_full_sketch_speaks_only_of_what_lies_below_its_largest() -> None:
    own = Sketch(10)
    own.limit(100)
    own.add([5, 50, 150])
    assert list(own.values) == [5, 50]
    other = Sketch(10)
    other.add([5, 70, 150])
    assert other.compared(own) == (2, 1)


@pytest.mark.parametrize(
    ("host", "looks"),
    [
        ("goodsh0p.com", True),
        ("g00dshop.com", True),
        ("gooodshop.com", True),
        ("godoshop.com", True),  # two neighbours swapped
        ("xn--gdshop-bxa.com", True),  # gódshop
        ("goodshop-outlet.com", True),
        ("goodshop.pages.dev", True),
        ("login.goodshop-support.net", True),
        ("goodshop.com", True),
        ("www.goodshop.example", False),
        ("new.goodshop.example", False),
        ("badstop.com", False),
        ("weather.com", False),
        ("203.0.113.9", False),
        ("pages.dev", False),
    ],
)
def test_lookalikes(host: str, looks: bool) -> None:
    assert looks_like(host, OWN) is looks


def test_letters_of_another_script_look_alike() -> None:
    cyrillic = "goodshop".replace("o", "\u043e")
    label = "xn--" + cyrillic.encode("punycode").decode()
    assert looks_like(f"{label}.com", OWN)


@pytest.mark.parametrize("host", ["a.com", "ab.com", "abcd.com", "shoo.com"])
def test_short_names_are_not_a_few_letters_from_everything(host: str) -> None:
    assert not looks_like(host, ["xyz.com", "www.kiwi.com"])


@pytest.mark.parametrize(
    ("one", "other", "edits"), [("kitten", "sitting", 3), ("ab", "ba", 1), ("a", "a", 0), ("", "ab", 2)]
)
def test_edits(one: str, other: str, edits: int) -> None:
    assert within(one, other, edits)
    assert not within(one, other, edits - 1)


@pytest.mark.parametrize(
    ("host", "whole"),
    [
        ("www-goodshop-example.ezproxy.college.edu", True),
        ("www.goodshop.example.proxy.edu", True),
        ("goodshop-co-uk.gate.com", True),
        ("wwwgoodshop.example", False),
        ("goodshop-deals.com", False),
        ("www.goodshop.example", False),
    ],
)
def test_hosts_that_proxies_write(host: str, whole: bool) -> None:
    assert rewrites(host, OWN) is whole


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("10.0.0.1", True),
        ("172.31.0.1", True),
        ("[::1]", True),
        ("[fd00::1]", True),
        ("box.local", True),
        ("shop.test", True),
        ("intranet", True),
        ("172.32.0.1", False),
        ("[2001:db8::1]", False),
        ("local.com", False),
    ],
)
def test_local_hosts(host: str, local: bool) -> None:
    assert is_local(host) is local


class TestSpans:
    def test_spans_one_after_the_other_count_whole(self) -> None:
        spans = Spans()
        assert [spans.fold(start, start + 10, 7) for start in range(0, 500, 10)] == [7] * 50
        assert len(spans.pieces) == PIECES

    def test_what_was_folded_is_nothing(self) -> None:
        spans = Spans()
        assert spans.fold(0, 10, 7) == 7
        assert spans.fold(0, 10, 7) is None
        assert spans.fold(3, 5, 2) is None

    def test_a_span_before_another_that_came_late_counts(self) -> None:
        spans = Spans()
        assert spans.fold(10, 20, 5) == 5
        assert spans.fold(0, 10, 4) == 4

    def test_a_longer_one_counts_for_what_is_beyond(self) -> None:
        spans = Spans()
        spans.fold(10, 20, 5)
        spans.fold(20, 30, 5)
        assert spans.fold(10, 40, 13) == 3

    def test_half_an_overlap_counts_from_below(self) -> None:
        spans = Spans()
        spans.fold(0, 100, 10)
        assert spans.fold(50, 150, 12) == 2

    def test_never_twice(self) -> None:
        """Spans of random cuts of one log, in any order: never more records than there are."""
        for seed in range(300):
            rng = random.Random(seed)
            log = sorted(rng.sample(range(200), rng.randrange(1, 150)))
            spans = Spans()
            counted = 0
            for _ in range(rng.randrange(1, 30)):
                start = rng.randrange(200)
                end = rng.randrange(start + 1, 201)
                records = sum(start <= offset < end for offset in log)
                counted += records and (spans.fold(start, end, records) or 0)
            assert counted <= len(log), seed
