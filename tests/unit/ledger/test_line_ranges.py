"""Sets of lines, against Python's own."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.ledger import line_ranges
from workers.ledger.line_ranges import Ranges

TOTAL = 30
lines = st.sets(st.integers(0, TOTAL - 1))


def members(ranges: Ranges) -> set[int]:
    return {line for first, last in ranges for line in range(first, last + 1)}


@given(lines)
def test_a_set_is_kept_in_one_way(some: set[int]) -> None:
    ranges = line_ranges.of(sorted(some, key=lambda line: line * 7 % TOTAL))
    assert members(ranges) == some
    assert line_ranges.count(ranges) == len(some)
    assert line_ranges.is_canonical(ranges)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(ranges))


@given(lines, lines)
def test_union_rest_and_common(one: set[int], other: set[int]) -> None:
    a, b = line_ranges.of(one), line_ranges.of(other)
    assert line_ranges.union(a, b) == line_ranges.of(one | other)
    assert line_ranges.common(a, b) == line_ranges.of(one & other)
    assert line_ranges.rest(a, TOTAL) == line_ranges.of(set(range(TOTAL)) - one)


@given(lines)
def test_lines_beyond_the_object_leave_nothing_there(some: set[int]) -> None:
    assert line_ranges.rest(line_ranges.of(some), 5) == line_ranges.of(set(range(5)) - some)


@pytest.mark.parametrize(
    "ranges", [((0, 1), (2, 3)), ((2, 1),), ((-1, 0),), ((4, 5), (1, 2)), ((0, 3), (3, 4)), ((0, 0), (0, 0))]
)
def test_other_ways_to_write_a_set_are_told(ranges: Ranges) -> None:
    assert not line_ranges.is_canonical(ranges)
