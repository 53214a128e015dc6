"""What becomes of unclaimed records whose write key is known by now: decided as intake would have. Pure.

A record is decided as if it had been appended when its batch was committed, or at the end of its day where
that is earlier: it was appended no later. So what a limit in time refuses (the end of a retiring key, a
retention), a replay refuses too, and at times a record more. Quotas are not asked: all records have one time
here, and what was kept of a key is bounded by its share of the budget.
"""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import date
from itertools import groupby
from typing import NamedTuple

from workers.intake import envelope
from workers.intake.allowances import Allowances
from workers.intake.dispositions import DEAD_LETTERS, Disposition, Group
from workers.intake.kept import DAY
from workers.intake.lines import Lines
from workers.intake.policy import FINAL, Policy
from workers.intake.sort import Sorter, Sorting
from workers.ledger import line_ranges
from workers.ledger.line_ranges import Ranges
from workers.ledger.unit_entries import Became, Consumed

EPOCH = date(1970, 1, 1).toordinal()
OWNERS_MAX = 1000  # sources of one entry: each has up to two objects, sent before the entry

Owner = tuple[str, str]  # workspace, source
Place = tuple[str, int]  # of a record: its object, and the number of its line


class Line(NamedTuple):
    number: int  # from 0, in its object
    write_key: str
    value: bytes


class Opened(NamedTuple):
    """An unclaimed object's live records."""

    key: str
    appended: int  # ms since the epoch: by when all of them were
    lines: Sequence[Line]


class Plan(NamedTuple):
    consumed: tuple[Consumed, ...]
    counts: Mapping[Became, Mapping[str, int]]
    groups: Mapping[Group, Lines]  # the outputs
    more: bool  # known keys' records that are left for another entry
    failed: frozenset[Place]  # records that a rule failed on: they stay where they are


class _Run(NamedTuple):
    """Records of one object, as sorting reads them; offsets are places among those of the plan."""

    offsets: Sequence[int]
    appended: int
    values: tuple[bytes, ...]


class _Chosen(NamedTuple):
    of: Opened
    line: Line


def key_of(value: bytes) -> str | None:
    """The write key of an unclaimed line; None for one that intake would not have kept."""
    try:
        return envelope.decode(value).write_key
    except envelope.REFUSED:
        pass
    try:
        return envelope.read(value).write_key
    except envelope.Unreadable:
        return None


def live_lines(values: Sequence[bytes], live: Ranges) -> list[Line]:
    """The live ones among an object's lines, with their keys."""
    numbers = (number for first, last in live for number in range(first, last + 1))
    found = ((number, key_of(values[number]), values[number]) for number in numbers)
    return [Line(number, key, value) for number, key, value in found if key is not None]


def decidable(policy: Policy, write_key: str) -> bool:
    """Whether the rules would say of a key whose its records are, or that they are nobody's any more."""
    known = policy.write_key(write_key)
    if known is None:
        return False
    return known.state in FINAL or policy.workspace(known.workspace) is not None


def appended_by(day: str, committed_at: int | None) -> int:
    """The time (ms) to decide a record of a unit by: within its day. None where no entry says more."""
    begins = (date.fromisoformat(day).toordinal() - EPOCH) * DAY
    ends = begins + DAY - 1
    return ends if committed_at is None else max(begins, min(committed_at, ends))


def plan(
    opened: Sequence[Opened],
    policy: Policy,
    sorter: Sorter,
    now: int,
    barred: frozenset[Owner] = frozenset(),
    left_out: Set[Place] = frozenset(),
) -> Plan:
    """`sorter` follows `policy`. Records of `barred` owners, which nobody can seal now, stay as they are.

    So do those that are `left_out`. Where there is `more`, something is consumed or has failed: who leaves
    out what failed comes to an end.
    """
    found, more = _chosen(opened, policy, barred, left_out)
    chosen = dict(enumerate(found))
    failed: set[int] = set()
    while True:
        sorting = Sorting(Allowances(quotas=None))
        sorter.sort(_runs(chosen), now=now, into=sorting)
        if not (again := _failed(sorting.lines)):
            break
        failed |= again
        chosen = {place: each for place, each in chosen.items() if place not in again}
    counts = {Became(disposition.value): reasons for disposition, reasons in sorting.counts.items()}
    places = frozenset((found[place].of.key, found[place].line.number) for place in failed)
    return Plan(_consumed(chosen.values()), counts, sorting.lines, more, places)


def _runs(chosen: Mapping[int, _Chosen]) -> list[_Run]:
    runs = []
    for _, of_object in groupby(chosen.items(), key=lambda each: each[1].of.key):
        found = list(of_object)
        values = tuple(record.line.value for _, record in found)
        runs.append(_Run([place for place, _ in found], found[0][1].of.appended, values))
    return runs


def _chosen(
    opened: Iterable[Opened], policy: Policy, barred: frozenset[Owner], left_out: Set[Place]
) -> tuple[list[_Chosen], bool]:
    chosen, more = [], False
    owners: set[Owner] = set()
    for each in opened:
        for line in each.lines:
            known = policy.write_key(line.write_key)
            if known is None or not decidable(policy, line.write_key):
                continue
            owner = known.workspace, known.source
            if owner in barred or (each.key, line.number) in left_out:
                continue
            if owner not in owners and len(owners) >= OWNERS_MAX:
                more = True
                continue
            owners.add(owner)
            chosen.append(_Chosen(each, line))
    return chosen, more


def _failed(lines: Mapping[Group, Lines]) -> set[int]:
    """Places of the records that became dead letters. An object's line was read before: a rule failed."""
    return {
        int(json.loads(letter)["offset"])
        for group, letters in lines.items()
        if group.disposition is Disposition.DEAD_LETTERED and group.source == DEAD_LETTERS
        for letter in letters
    }


def _consumed(chosen: Iterable[_Chosen]) -> tuple[Consumed, ...]:
    numbers: dict[str, list[int]] = {}
    for each in chosen:
        numbers.setdefault(each.of.key, []).append(each.line.number)
    return tuple(Consumed(key, line_ranges.of(lines), len(lines)) for key, lines in sorted(numbers.items()))
