"""What the producers know of each record that they sent, one line a record, in a file on disk.

A line is `outcome TAB partition TAB offset TAB id`. Partition and offset are -1 where nobody told them.
"""

import threading
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple


class Outcome(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    ABORTED = "aborted"  # written in a transaction that was aborted: nobody may see it
    UNKNOWN = "unknown"  # no answer: it may be in the log or not


class Sent(NamedTuple):
    outcome: Outcome
    partition: int
    offset: int
    id: str


class Journal:
    """Appended to by several producers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="ascii", buffering=1 << 16)
        self._lock = threading.Lock()
        self.counts = dict.fromkeys(Outcome, 0)
        self.partitions: set[int] = set()  # those that have acknowledged a record

    def write(self, records: Iterable[Sent]) -> None:
        with self._lock:
            for sent in records:
                self._file.write(f"{sent.outcome.value}\t{sent.partition}\t{sent.offset}\t{sent.id}\n")
                self.counts[sent.outcome] += 1
                if sent.outcome is Outcome.ACKNOWLEDGED:
                    self.partitions.add(sent.partition)

    def close(self) -> None:
        with self._lock:
            self._file.close()


def read(path: Path) -> Iterator[Sent]:
    with path.open(encoding="ascii") as lines:
        for line in lines:
            outcome, partition, offset, name = line.rstrip("\n").split("\t")
            yield Sent(Outcome(outcome), int(partition), int(offset), name)
