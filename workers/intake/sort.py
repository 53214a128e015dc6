"""Sorts the records of a chunk into the lines of objects. The hot path: it runs for every record there is.

Per record: one decode, one look-up of what was decided for its write key, one append. All that reads a value
is done with it in one go, while the processor has it in its cache: a chunk is larger than that.
"""

from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from operator import length_hint
from typing import cast

from workers.intake import allowances
from workers.intake import envelope as envelopes
from workers.intake.allowances import Allowances
from workers.intake.decided import Outcome
from workers.intake.decider import Decider
from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, STORED, Clock, Decision, Disposition, Group
from workers.intake.envelope import Envelope, Unreadable
from workers.intake.facts import page_inputs
from workers.intake.kept import DAY, PLATFORM_TERMS
from workers.intake.lines import CR, LF, Lines, ndjson, one_line
from workers.intake.policy import Policy
from workers.intake.refusals import Refusals, Tally
from workers.intake.rules import INTAKE_ERROR, PAST_PLATFORM_RETENTION, REASONS
from workers.intake.runs import Run, Runs
from workers.intake.samples import Samples

EPOCH = date(1970, 1, 1).toordinal()
END_OF_CALENDAR = (date.max.toordinal() - EPOCH) * DAY  # ms


@dataclass(frozen=True, slots=True)
class SortLimits:
    record_bytes: int = envelopes.RECORD_BYTES_MAX  # of one value; longer ones are dead letters
    # of a partition and an hour of the broker's time, for records whose key nobody knows
    unknown_key_bytes: int = 16 * 1024 * 1024
    unknown_key_share: float = 0.05  # of these, for one key
    cached_decisions: int = 65_536  # half of what is kept at most


class Sorting:
    """What a batch holds so far. Chunks are sorted into it in the order of their offsets."""

    __slots__ = (
        "allowances",
        "counts",
        "last",
        "lines",
        "pieces",
        "plain_bytes",
        "refused",
        "unknown_refused",
        "value_bytes",
    )

    def __init__(self, of_partition: Allowances | None = None) -> None:
        self.lines: dict[Group, Lines] = {}
        self.pieces = 0  # that `lines` are made of, at most
        self.counts: dict[Disposition, dict[str, int]] = {}  # disposition → reason → records
        self.value_bytes = 0  # of the records as they came
        self.plain_bytes = 0  # of `lines` as NDJSON
        self.last: tuple[int, bytes] | None = None  # offset and value of the newest record
        self.allowances = of_partition or allowances.fresh()
        self.unknown_refused: dict[str, Outcome] = {}  # of keys that nobody knows, and one for all others
        self.refused = Refusals()

    def count(self, decision: Decision, records: int) -> None:
        reasons = self.counts.setdefault(decision.disposition, {})
        reasons[decision.reason] = reasons.get(decision.reason, 0) + records

    def keep(self, groups: Mapping[Group, Sequence[bytes]]) -> None:
        """The next lines of each group, in the order of their records' offsets.

        They are joined once for all: thousands of texts of as many lengths, held for minutes and freed one by
        one, would have malloc look for the place of each in its lists.
        """
        text = memoryview(ndjson(chain.from_iterable(groups.values())))
        end = 0
        for group, lines in groups.items():
            kept = self.lines.get(group)
            if kept is None:
                kept = self.lines[group] = Lines()
            start, end = end, end + sum(map(len, lines)) + len(lines)
            kept.append(text[start:end], len(lines))
        self.pieces += len(groups)
        self.plain_bytes += len(text)


Pending = defaultdict[Outcome, list[bytes]]


class Sorter:
    """Sorts by one policy. On the thread that applies changes to it, so that no decision can miss one."""

    def __init__(self, policy: Policy, limits: SortLimits | None = None) -> None:
        self._limits = limits or SortLimits()
        budget = self._limits.unknown_key_bytes
        share = int(budget * self._limits.unknown_key_share)
        self.policy = policy
        self._decider = Decider(policy, self._limits.cached_decisions, budget, share)
        self._decided = self._decider.decided
        self._dead = {
            reason: Outcome(Decision(REASONS[reason][0], reason, PLATFORM, DEAD_LETTERS))
            for reason in (*envelopes.UNREADABLE, INTAKE_ERROR, PAST_PLATFORM_RETENTION)
        }

    def sort(  # noqa: PLR0912, PLR0915 - a call would cost each record more than the branches
        self, runs: Sequence[Run], *, now: int, into: Sorting, seen: Samples | None = None
    ) -> None:
        """Every record ends in exactly one disposition of `into`. `now` in ms since the epoch.

        `seen` keeps those that the judge of origins is told of.
        """
        if not runs:
            return
        self._decider.keep_clock(now)
        chunk = Runs(runs, now)
        breaks = False  # in any of them
        days: dict[int, Pending] = {}
        pending: Pending = defaultdict(list)
        day_starts = day_ends = 0  # ms: the day that `pending` is for
        dead_since = PLATFORM_TERMS[DEAD_LETTERS].kept_since(now)
        decode, known, refused = envelopes.decode, self._decided.known, envelopes.REFUSED
        decide, used, unknown = self._decider.outcome, into.allowances, into.unknown_refused
        for number, run in enumerate(runs):
            appended = chunk.appended[number]
            if not day_starts <= appended < day_ends:
                if not 0 <= appended < END_OF_CALENDAR:
                    appended = now
                day_starts = appended - appended % DAY
                day_ends = day_starts + DAY
                pending = days.setdefault(day_starts // DAY, defaultdict(list))
            left = iter(self._values(run, into))
            for value in left:
                try:
                    try:
                        envelope = decode(value)
                        if not value.isascii():
                            value.decode()  # what `decode` skipped may be no UTF-8
                    except refused:
                        envelope = self._read(run.values[_index(left, run)])
                    if LF in value or CR in value:
                        breaks = True
                    plan = known.get(envelope.write_key)
                    if plan is None or not plan.since <= appended < plan.until:
                        outcome = decide(envelope, plan, appended, now, len(value), used, unknown)
                    else:
                        kept = plan.outcome
                        if kept is None:
                            try:
                                usual = (
                                    envelope.origin == plan.usual_origin
                                    and plan.usual_from <= envelope.event.context.page.url < plan.usual_end  # type: ignore[operator,union-attr]  # caught
                                )
                            except (AttributeError, TypeError):  # one of them is None
                                usual = False
                            kept = plan.usual if usual else plan.pages.get(page_inputs(envelope))
                        outcome = kept or decide(envelope, plan, appended, now, len(value), used, unknown)
                    pending[outcome].append(value)
                except MemoryError:
                    raise  # no fault of the record's
                except Exception as error:
                    reason = error.reason if isinstance(error, Unreadable) else INTAKE_ERROR
                    index = _index(left, run)
                    letter = dead_letter(run.offsets[index], run.values[index], reason)
                    chunk.keep_instead(number, index, letter)
                    gone = self.policy.disposed.at(PLATFORM, DEAD_LETTERS, appended)
                    too_old = appended < dead_since or Clock.MAIN in gone.clocks
                    pending[self._dead[PAST_PLATFORM_RETENTION if too_old else reason]].append(letter)
        _count_refused(days.values(), chunk, into.refused)
        _show(days.values(), chunk, seen)
        for day_number, outcomes in days.items():
            day = date.fromordinal(EPOCH + day_number).isoformat()
            groups: dict[Group, list[bytes]] = {}
            for group, parts in _counted(outcomes, day, into).items():
                lines = parts[0] if len(parts) == 1 else _merged(parts, chunk.lines())
                groups[group] = [one_line(line) for line in lines] if breaks else lines
            into.keep(groups)
        into.last = (runs[-1].offsets[-1], runs[-1].values[-1] or b"")

    def _values(self, run: Run, into: Sorting) -> list[bytes] | tuple[bytes, ...]:
        """With b"" for a missing value and for one that is too long: `_read` refuses those, and says why."""
        values = cast("list[bytes] | tuple[bytes, ...]", run.values)  # but for a None, which has no length
        try:
            sizes = list(map(len, values))
        except TypeError:
            values = [value or b"" for value in run.values]
            sizes = list(map(len, values))
        into.value_bytes += sum(sizes)
        limit = self._limits.record_bytes
        if max(sizes) > limit:
            return [value if len(value) <= limit else b"" for value in values]
        return values

    def _read(self, value: bytes | None) -> Envelope:
        return envelopes.read(envelopes.measured(value, self._limits.record_bytes))


def _index(left: Iterator[bytes], run: Run) -> int:
    """Of the value that `left` gave last: its length_hint is how many follow."""
    return len(run.values) - length_hint(left) - 1


def _count_refused(days: Iterable[Pending], chunk: Runs, into: Refusals) -> None:
    """Costs nothing a record where nothing was refused, and little where something was."""
    refused = [(outcome.refusal, lines) for day in days for outcome, lines in day.items() if outcome.refusal]
    if not refused:
        return
    ends = chunk.ends([lines for _, lines in refused])
    for (refusal, lines), places in zip(refused, ends, strict=True):
        (first, first_at), (last, last_at) = map(chunk.at, places)
        times = first_at, last_at
        into.count(refusal, Tally(len(lines), min(times), max(times), first, last))


def _show(days: Iterable[Pending], chunk: Runs, seen: Samples | None) -> None:
    """By groups, not by records: it runs for each chunk."""
    if seen is None:
        return
    times = chunk.appended[0], chunk.appended[-1]
    first_at, last_at = max(0, min(times)), max(0, *times)
    for day in days:
        seen.see(((outcome.decision, lines) for outcome, lines in day.items()), first_at, last_at)


def _counted(outcomes: Pending, day: str, into: Sorting) -> dict[Group, list[list[bytes]]]:
    """Counts all; the lines of each group that is stored, a list for each of its reasons."""
    kept: dict[Group, list[list[bytes]]] = {}
    for outcome, lines in outcomes.items():
        into.count(outcome.decision, len(lines))
        if outcome.decision.disposition in STORED:
            kept.setdefault(outcome.group(day), []).append(lines)
    return kept


def _merged(parts: list[list[bytes]], order: Iterable[bytes | None]) -> list[bytes]:
    """The lines of all parts in this order; within a part they are in it already."""
    left = [deque(part) for part in parts]
    merged = []
    for line in order:
        for part in left:
            if part and part[0] is line:
                merged.append(part.popleft())
                break
    return merged


def dead_letter(offset: int, value: bytes | None, reason: str) -> bytes:
    """The line of a record that can't be read: its bytes as they came, which no line of JSON could hold."""
    return b'{"offset":%d,"reason":"%s","bytes":"%s"}' % (offset, reason.encode(), b64encode(value or b""))
