"""Keys that nobody knows: what is kept of them is bounded a partition and an hour, in bytes and in memory."""

import pytest

from tests.runs import runs_of
from tests.unit.intake.making import NOW, Record, envelope, flat, key_record, policy_of, workspace_record
from workers.intake import allowances
from workers.intake.allowances import Allowances
from workers.intake.batch import Batch
from workers.intake.sort import Sorter, Sorting, SortLimits
from workers.intake.unknown_keys import HOUR, LEAST_BYTES, UnknownKeys

OPEN = policy_of([key_record()], [workspace_record()])
HALF = 100 * LEAST_BYTES, 50 * LEAST_BYTES  # an hour's budget, and one key's share of it


def invented(count: int, at: int = NOW, first: int = 0) -> list[Record]:
    return [Record(envelope(f"invented-{first + n:07}"), n, at) for n in range(count)]


def sort(sorter: Sorter, records: list[Record], used: Allowances, now: int = NOW) -> dict[str, int]:
    sorting = Sorting(used)
    sorter.sort(runs_of(records), now=now, into=sorting)
    return flat(sorting.counts)


def test_a_million_invented_keys_take_bounded_memory() -> None:
    unknown = UnknownKeys()
    kept = sum(unknown.room(f"k{n}", NOW + n, 100, *HALF) >= 0 for n in range(1_000_000))
    assert kept == 100
    assert len(unknown) == 100


def test_an_hour_has_its_budget_however_many_batches_it_has() -> None:
    limits = SortLimits(unknown_key_bytes=HALF[0], unknown_key_share=0.5)
    sorter, used, hour = Sorter(OPEN, limits), allowances.fresh(), NOW - NOW % HOUR
    assert sort(sorter, invented(70, hour), used) == {"unknown_key": 70}
    later = invented(70, hour + HOUR - 1, first=70)
    assert sort(sorter, later, used) == {"unknown_key": 30, "unknown_key_budget": 40}
    assert sort(sorter, invented(1, hour + HOUR), used) == {"unknown_key": 1}
    # it is the broker's hour that counts, not the one in which it is read
    read_late = invented(1, hour + HOUR - 1, first=200)
    assert sort(sorter, read_late, used, now=NOW + 9 * HOUR) == {"unknown_key_budget": 1}
    # who claims the partition begins anew
    assert sort(sorter, invented(1, hour), allowances.fresh()) == {"unknown_key": 1}


def test_one_key_can_take_its_share_and_no_more() -> None:
    limits = SortLimits(unknown_key_bytes=HALF[0], unknown_key_share=0.05)
    loud = [Record(envelope("loud"), offset) for offset in range(50)]
    counts = sort(Sorter(OPEN, limits), [*loud, Record(envelope("calm"), 50)], allowances.fresh())
    assert counts == {"unknown_key": 6, "unknown_key_budget": 45}


def test_the_budget_is_exact() -> None:
    value = envelope("newer", pad="x" * LEAST_BYTES)
    for spare, reason in [(0, "unknown_key"), (-1, "unknown_key_budget")]:
        limits = SortLimits(unknown_key_bytes=len(value) + 1 + spare, unknown_key_share=1.0)
        assert sort(Sorter(OPEN, limits), [Record(value)], allowances.fresh()) == {reason: 1}


def test_a_small_record_counts_for_the_least_size() -> None:
    for budget, reason in [(LEAST_BYTES, "unknown_key"), (LEAST_BYTES - 1, "unknown_key_budget")]:
        limits = SortLimits(unknown_key_bytes=budget, unknown_key_share=1.0)
        assert sort(Sorter(OPEN, limits), [Record(envelope("newer"))], allowances.fresh()) == {reason: 1}


@pytest.mark.parametrize(
    ("hours", "kept"),
    [
        ([1, 1, 1], 2),
        ([1, 2, 1, 2, 1, 2], 4),  # two clocks around the full hour
        ([1, 2, 3, 1, 1, 1], 4),  # what is too late counts for the oldest that is open
        ([3, 2, 1, 1, 1, 2, 3], 4),  # and opens none again
        ([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6], 6 + 2),
    ],
)
def test_no_hour_has_more_than_its_budget_in_any_order(hours: list[int], kept: int) -> None:
    unknown, budget = UnknownKeys(), 2 * LEAST_BYTES
    rooms = [unknown.room(f"k{n}", hour * HOUR, 1, budget, budget) for n, hour in enumerate(hours)]
    assert sum(room >= 0 for room in rooms) == kept <= 2 * len(set(hours))


def test_the_batches_of_a_partition_share_what_they_may_keep() -> None:
    used = allowances.fresh()
    assert Batch(0, used).sorting.allowances is Batch(5, used).sorting.allowances
    assert Batch(0).sorting.allowances is not Batch(0).sorting.allowances


def test_invented_keys_do_not_push_out_what_is_kept_of_the_others() -> None:
    sorter = Sorter(OPEN, SortLimits(cached_decisions=4))
    sorter.sort(runs_of([Record(envelope()), *invented(100)]), now=NOW, into=Sorting())
    assert len(sorter._decided) == 1
