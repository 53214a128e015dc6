"""Bottom-k sketches of keyed 64-bit hashes: how many there are, and which of them another set has too.

Kept sorted, eight bytes a hash. The same hashes leave the same sketch, in whatever order they come.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    Array = array[int]
else:
    Array = array  # which Python lets no program subscript

SPACE = (1 << 64) - 1  # of the hashes; the largest stands for none


BISECTED = 16  # times as large as another a set is searched, rather than read through


class Hashes(Array):
    """Sorted, without doubles."""


def no_hashes() -> Hashes:
    return Hashes("Q")


class Sketch(msgspec.Struct):
    """The `k` smallest hashes seen. `complete_below`: every hash below it that was seen is in it."""

    k: int
    values: Hashes = msgspec.field(default_factory=no_hashes)
    complete_below: int = SPACE

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, value: int) -> bool:
        at = bisect_left(self.values, value)
        return at < len(self.values) and self.values[at] == value

    def add(self, seen: Iterable[int]) -> None:
        """The union with `seen`. A hash beyond 64 bits is none of ours: left out."""
        for value in seen:
            if value >= self.complete_below:
                continue
            at = bisect_left(self.values, value)
            if at < len(self.values) and self.values[at] == value:
                continue
            self.values.insert(at, value)
            if len(self.values) > self.k:
                self.complete_below = self.values.pop()

    def limit(self, below: int) -> None:
        """Notes that what came from a sketch which was full may lack hashes from `below` on."""
        self.complete_below = min(self.complete_below, below)
        del self.values[bisect_left(self.values, self.complete_below) :]

    def count(self) -> float:
        """How many distinct hashes were seen: exact until some had to go, then within 1/sqrt(k)."""
        if self.complete_below >= SPACE:
            return float(len(self.values))
        return len(self.values) * SPACE / self.complete_below

    def compared(self, other: "Sketch") -> tuple[int, int]:
        """Of this one's hashes that `other` would have if it had seen them: how many, and how many it has."""
        trials = bisect_left(self.values, other.complete_below)
        mine = self.values[:trials]
        if trials * BISECTED < len(other):
            return trials, sum(value in other for value in mine)
        return trials, len(set(mine).intersection(other.values))
