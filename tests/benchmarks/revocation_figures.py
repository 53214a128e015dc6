"""What came of revocations under load, from three witnesses: the workers' notes, the archive, the producer.

A worker's delay is the time from the revocation's publication until the worker applied it: after that it
accepts nothing, which is not believed but looked up: no record that is in the archive may have been decided
about later (`accepted_after`). So the delay is never less than the time to the last decision that accepts;
that time itself is seen only as often as a record of the key comes by.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from tests.benchmarks.noted_worker import Decided, Notes
from tests.benchmarks.policy_fleet import Span
from tests.benchmarks.policy_load import Probe

MS = 1_000_000  # ns
NEVER = float("inf")
BUCKETS = (10, 25, 50, 100, 250, 500, 1000, 2000, 3000)  # ms, as in strongroom_policy_delay_seconds


class Revoked(NamedTuple):
    key: str
    span: Span


class Delay(NamedTuple):
    """Of one revocation at one worker, in ms from the publication's acknowledgement."""

    worker: str
    key: str
    applied: float
    applied_since_sent: float  # no ack could come earlier: nothing that is late to see it can flatter this
    last_accepted: float | None  # the last decision that accepted a record of the key; None if none was seen


class Deciders:
    """Which worker decided about an offset, and when."""

    def __init__(self, notes: Mapping[str, Notes]) -> None:
        self._chunks: dict[int, list[tuple[Decided, str]]] = {}
        for worker, found in notes.items():
            for chunk in found.decided:
                self._chunks.setdefault(chunk.partition, []).append((chunk, worker))
        for chunks in self._chunks.values():
            chunks.sort()
        self._firsts = {number: [each[0].first for each in chunks] for number, chunks in self._chunks.items()}

    def of(self, probe: Probe) -> tuple[Decided, str]:
        """The last to decide about it, if it was fetched twice."""
        chunks = self._chunks[probe.partition]
        at = bisect_right(self._firsts[probe.partition], probe.offset) - 1
        found = [
            each for each in chunks[max(0, at - 8) : at + 1] if each[0].first <= probe.offset <= each[0].last
        ]
        assert found, f"nobody decided about {probe}"
        return max(found, key=lambda each: each[0].ended)


class Outcome(NamedTuple):
    delays: list[Delay]
    accepted_after: list[str]  # accepted in a chunk begun after the worker had applied the revocation
    lost: list[str]  # decided before the revocation was even sent, and not accepted
    latest: dict[str, float]  # key → ms from the ack until its last accepted record was appended; < 0: before
    accepted: int
    refused: int


def judged(
    revoked: Sequence[Revoked], notes: Mapping[str, Notes], probes: Iterable[Probe], accepted: set[int]
) -> Outcome:
    """`probes`: all that were acknowledged; `accepted`: the numbers of those that are in the archive."""
    spans = {each.key: each.span for each in revoked}
    applied = {
        (worker, each.key): each.at
        for worker, found in notes.items()
        for each in reversed(found.applied)
        if each.state == "revoked"
    }
    deciders = Deciders(notes)
    last: dict[tuple[str, str], int] = {}
    after, lost = [], []
    latest: dict[str, float] = {}
    counted = [0, 0]
    for probe in probes:
        chunk, worker = deciders.of(probe)
        span = spans.get(probe.key)
        counted[probe.number in accepted] += 1
        if probe.number not in accepted:
            if span is None or chunk.ended < span.sent:
                lost.append(f"record {probe.number} of {probe.key} on {worker}")
            continue
        if span is None:
            continue
        if chunk.began > applied.get((worker, probe.key), NEVER):
            after.append(f"record {probe.number} of {probe.key} on {worker}")
        last[worker, probe.key] = max(last.get((worker, probe.key), 0), chunk.ended)
        appended = probe.appended - span.acknowledged / MS
        latest[probe.key] = max(latest.get(probe.key, appended), appended)
    delays = [
        Delay(
            worker,
            key,
            (applied.get((worker, key), NEVER) - span.acknowledged) / MS,
            (applied.get((worker, key), NEVER) - span.sent) / MS,
            (last[worker, key] - span.acknowledged) / MS if (worker, key) in last else None,
        )
        for key, span in spans.items()
        for worker in notes
    ]
    return Outcome(delays, after, lost, latest, counted[True], counted[False])


def worst(delays: Iterable[Delay]) -> list[float]:
    """Of each revocation the delay of the slowest worker, since it was sent."""
    by_key: dict[str, float] = {}
    for each in delays:
        by_key[each.key] = max(each.applied_since_sent, by_key.get(each.key, 0.0))
    return list(by_key.values())


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def row(name: str, values: Sequence[float]) -> str:
    figures = "".join(f"{quantile(values, share):>9,.0f}" for share in (0.5, 0.99, 1.0))
    return f"{name:34}{len(values):>6}{figures}"


def histogram(values: Sequence[float]) -> list[str]:
    """A line a bucket, with everything in it."""
    lines, below = [], -float("inf")
    for bound in (*BUCKETS, float("inf")):
        count = sum(below < value <= bound for value in values)
        lines.append(f"  ≤ {bound:>6,.0f} ms {count:>7}  {'#' * round(60 * count / max(1, len(values)))}")
        below = bound
    return lines
