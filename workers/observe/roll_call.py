"""Which workers have applied a change of policy, by what they say themselves (topics/policy_applied.py).

A worker that was heard lately is asked; it has answered when it reports the version that is looked for. What
is heard of one that stopped without a word is old: it proves nothing, and the worker is named.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from topics.policy_applied import PolicyApplied, codec
from workers.errors import Poison

HEARTBEAT = 2.0  # seconds between two reports of a worker that has nothing new to say
GONE_AFTER_MS = 10_000  # without a report; beyond it a worker that lives has lost Kafka, and holds
FORGOTTEN_AFTER_MS = 86_400_000  # a worker that was killed for good is named for a day


class Mark(NamedTuple):
    """What must have been applied of a topic: every offset up to these, of the log with this id."""

    topic: str  # without a fleet's prefix
    topic_id: str
    offsets: Mapping[int, int]  # partition → offset; -1: nothing


@dataclass(frozen=True, slots=True)
class Answers:
    confirmed: tuple[str, ...]  # heard, and have applied all
    lagging: Mapping[str, int]  # heard, and have not → records behind
    silent: Mapping[str, int]  # not heard → ms since the last report


class RollCall:
    """Hears reports, and looks who of the workers has applied what `marks` say. `now`: ms since the epoch."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.marks: tuple[Mark, ...] = ()
        self.reports: dict[str, PolicyApplied] = {}
        self._loaded = False
        self._asked: set[str] = set()

    def hear(self, key: bytes | None, value: bytes | None) -> None:
        """One record of policy-applied. What can't be read is nobody's report."""
        worker = (key or b"").decode(errors="replace")
        if value is None:
            self.reports.pop(worker, None)
            self._asked.discard(worker)
            return
        try:
            report = codec.decode(value)
        except Poison:
            return
        self.reports[report.worker] = report
        if self._loaded:
            self._asked.add(report.worker)  # it speaks now, whatever its clock says

    def begin(self, marks: tuple[Mark, ...]) -> None:
        """What was heard so far is history; from here on each report is fresh."""
        self.marks = marks
        self._loaded = True

    def look(self) -> Answers:
        """As of now. Who was asked once must answer, or stop in order: falling silent is no answer."""
        now = self._now()
        silences = {worker: max(0, now - report.at) for worker, report in self.reports.items()}
        self._asked |= {worker for worker, silence in silences.items() if silence <= GONE_AFTER_MS}
        behind = {worker: self.behind(self.reports[worker]) for worker in sorted(self._asked)}
        return Answers(
            confirmed=tuple(worker for worker, records in behind.items() if not records),
            lagging={worker: records for worker, records in behind.items() if records},
            silent={
                worker: silence
                for worker, silence in sorted(silences.items())
                if worker not in self._asked and silence <= FORGOTTEN_AFTER_MS
            },
        )

    def behind(self, report: PolicyApplied) -> int:
        """Records up to the marks that the worker had not applied when it reported."""
        applied = {part.topic: part for part in report.applied}
        missing = 0
        for mark in self.marks:
            part = applied.get(mark.topic)
            version = part.version if part is not None and part.topic_id == mark.topic_id else ()
            for partition, offset in mark.offsets.items():
                missing += max(0, offset - (version[partition] if partition < len(version) else -1))
        return missing
