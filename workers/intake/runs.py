"""The records of a chunk as sorting takes them: columns, and what is asked of few of them alone."""

from bisect import bisect
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, chain
from typing import Protocol

FEW_GROUPS = 4  # up to so many, the places of their lines are looked for one by one

# iterators of these tell how much is left of them, which sorting asks
Values = list[bytes | None] | tuple[bytes | None, ...]


class Run(Protocol):
    """Records that follow each other and were appended at one time; at least one."""

    @property
    def offsets(self) -> Sequence[int]:
        """Ascending."""

    @property
    def appended(self) -> int | None:
        """ms since the epoch by the broker's clock; None where it did not say."""

    @property
    def values(self) -> Values:
        """One an offset."""


class Runs:
    """All runs of a chunk, at least one. A record's place is its number in the chunk.

    What is not asked for costs nothing: of most chunks nothing is.
    """

    def __init__(self, runs: Sequence[Run], now: int) -> None:
        """`now` in ms since the epoch: when those were appended of which the broker does not say it."""
        self._runs = runs
        self.appended = [now if run.appended is None else run.appended for run in runs]
        self._instead: dict[int, bytes] = {}  # place → the line that is kept instead of the value

    @cached_property
    def values(self) -> list[bytes | None]:
        """By place."""
        return list(chain.from_iterable(run.values for run in self._runs))

    @cached_property
    def _starts(self) -> list[int]:
        """The place of each run's first record."""
        return list(accumulate((len(run.values) for run in self._runs[:-1]), initial=0))

    def keep_instead(self, number: int, index: int, line: bytes) -> None:
        """Of the record at `index` of the number-th run."""
        self._instead[self._starts[number] + index] = line

    def lines(self) -> Sequence[bytes | None]:
        """By place what is kept of each record, if it is kept."""
        if not self._instead:
            return self.values
        return [self._instead.get(place, value) for place, value in enumerate(self.values)]

    def at(self, place: int) -> tuple[int, int]:
        """The record's offset, and when it was appended: any number, as it came."""
        number = bisect(self._starts, place) - 1
        return self._runs[number].offsets[place - self._starts[number]], self.appended[number]

    def ends(self, groups: Sequence[Sequence[bytes]]) -> list[tuple[int, int]]:
        """The places of the first and the last of each group of values, which are in the order of places."""
        values = self.values
        if len(groups) > FEW_GROUPS:
            places = {id(value): place for place, value in enumerate(values)}
            return [(places[id(group[0])], places[id(group[-1])]) for group in groups]
        # a flood has one group, which begins soon and ends late
        found = []
        for group in groups:
            first = next(place for place, value in enumerate(values) if value is group[0])
            last = next(place for place in reversed(range(len(values))) if values[place] is group[-1])
            found.append((first, last))
        return found
