"""Counts faults that really took effect; one that was planned and never happened shows as 0."""

import threading
from collections.abc import Iterable


class Tally:
    """Counted from several threads."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._counts = dict.fromkeys(kinds, 0)
        self._lock = threading.Lock()

    def count(self, kind: str, times: int = 1) -> None:
        """Raises KeyError for a kind that nobody announced: its absence could not be noticed either."""
        with self._lock:
            self._counts[kind] += times

    def counts(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def missing(self) -> list[str]:
        """The kinds that never took effect."""
        return sorted(kind for kind, count in self.counts().items() if not count)
