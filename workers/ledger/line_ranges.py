"""Sets of an object's lines as ranges: (first, last) from 0, both included, ascending, none touching."""

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def is_canonical(ranges: Ranges) -> bool:
    """Whether a set is written in the one way that this module writes it."""
    edge = -2
    for first, last in ranges:
        if first <= edge + 1 or first < 0 or last < first:
            return False
        edge = last
    return True


def count(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)


def of(lines: Iterable[int]) -> Ranges:
    """The set of these line numbers, in any order."""
    return union(*(((line, line),) for line in lines))


def union(*sets: Ranges) -> Ranges:
    joined: list[tuple[int, int]] = []
    for first, last in sorted(each for ranges in sets for each in ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return tuple(joined)


def rest(ranges: Ranges, lines: int) -> Ranges:
    """What is left of an object of so many lines."""
    left, start = [], 0
    for first, last in (*ranges, (lines, lines)):
        if start < min(first, lines):
            left.append((start, min(first, lines) - 1))
        start = last + 1
    return tuple(left)


def common(one: Ranges, other: Ranges) -> Ranges:
    """What is in both."""
    both, at = [], 0
    for first, last in one:
        while at < len(other) and other[at][1] < first:
            at += 1
        behind = at
        while behind < len(other) and other[behind][0] <= last:
            both.append((max(first, other[behind][0]), min(last, other[behind][1])))
            behind += 1
    return tuple(both)
