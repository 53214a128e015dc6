"""However a chunk is cut into runs, the same becomes of its records."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.intake.making import DAY, NOW, envelope, key_record, policy_of, workspace_record
from topics.write_keys import KeyState
from workers.intake.sort import Sorter, Sorting, SortLimits
from workers.stream.chunk import Run

POLICY = policy_of(
    [key_record("known"), key_record("gone", KeyState.REVOKED)],
    [workspace_record(allowed=["*.good.com", "good.com"], days=30)],
)
FIRST = 700  # an offset
LONGEST = 300  # bytes

values = st.sampled_from(
    [
        envelope(),
        envelope(origin="https://good.com"),
        envelope(origin="https://bad.com", page={"url": "https://bad.com/"}),
        envelope("gone"),
        envelope("gone", origin="https://bad.com"),
        envelope("nobody"),
        envelope(pad="x" * LONGEST),
        envelope().replace(b"{", b"{\n", 1),
        b"\xff",
        b"{}",
        b"",
        None,
    ]
)
times = st.sampled_from([NOW, NOW - 1, NOW - DAY, NOW - 40 * DAY])


def sorted_of(runs: list[Run]) -> dict[str, Any]:
    sorting = Sorting()
    Sorter(POLICY, SortLimits(record_bytes=LONGEST)).sort(runs, now=NOW, into=sorting)
    return {
        "lines": {group: list(lines) for group, lines in sorting.lines.items()},
        "counts": sorting.counts,
        "bytes": sorting.value_bytes,
        "last": sorting.last,
        "refused": {refusal: vars_of(tally) for refusal, tally in sorting.refused.rows()},
    }


def vars_of(tally: Any) -> tuple[int, ...]:
    return (tally.records, tally.first_at, tally.last_at, tally.first_offset, tally.last_offset)


@given(
    st.lists(st.tuples(times, st.lists(values, min_size=1, max_size=8)), min_size=1, max_size=5), st.data()
)
def test_a_run_in_parts_is_the_same_run(batches: list[tuple[int, list[bytes | None]]], data: Any) -> None:
    whole, parts, start = [], [], FIRST
    for appended, batch in batches:
        offsets = range(start, start + len(batch))
        start += len(batch) + 1  # the offset between two batches holds no record
        # as unpacking has it: no two values of some bytes are one object
        own = [value and bytes(bytearray(value)) for value in batch]
        whole.append(Run(offsets, appended, own))
        cuts = sorted({0, len(batch), *data.draw(st.lists(st.integers(0, len(batch)), max_size=3))})
        parts += [Run(offsets[a:b], appended, own[a:b]) for a, b in pairwise(cuts)]
    assert sorted_of(parts) == sorted_of(whole)


def test_what_is_said_of_records_is_said_of_the_right_ones() -> None:
    sorting = Sorting()
    runs = [
        Run(range(10, 12), NOW, [envelope("gone"), envelope()]),
        Run([15, 20, 21], NOW - 5, [b"\xff", envelope("gone"), None]),
        Run([30, 31], None, [envelope("gone", n=1), b"{}"]),
    ]
    Sorter(POLICY).sort(runs, now=NOW + 9, into=sorting)
    lines = {group.source: list(lines) for group, lines in sorting.lines.items()}
    assert lines["site"] == [envelope()]
    assert [line.partition(b',"reason"')[0] for line in lines["dead-letters"]] == [
        b'{"offset":15',
        b'{"offset":21',
        b'{"offset":31',
    ]
    ((_, tally),) = sorting.refused.rows()
    assert vars_of(tally) == (3, NOW, NOW + 9, 10, 30)
    assert sorting.last == (31, b"{}")


def test_the_ends_of_many_groups_are_those_of_their_records() -> None:
    hosts, records, of_run = 8, 24, 5
    values = [envelope("gone", origin=f"https://h{n % hosts}.example") for n in range(records)]
    offsets = range(0, 2 * records, 2)  # every second one holds no record
    runs = [
        Run(offsets[start : start + of_run], NOW + start, tuple(values[start : start + of_run]))
        for start in range(0, records, of_run)
    ]
    sorting = Sorting()
    Sorter(POLICY).sort(runs, now=NOW, into=sorting)
    found = {refusal.host: vars_of(tally) for refusal, tally in sorting.refused.rows()}
    last = records - hosts
    assert found == {
        f"h{n}.example": (
            records // hosts,
            NOW + n // of_run * of_run,
            NOW + (last + n) // of_run * of_run,
            2 * n,
            2 * (last + n),
        )
        for n in range(hosts)
    }
