"""What sorting does for each record more, counted in calls and not in time: the same on any machine.

A benchmark would show a slower hot path to who runs it; this shows it to everybody.
"""

from collections import Counter

from tests.benchmarks.bench_sort import KEYS, NOW, Record, policy_of, records_of
from tests.calls import counted_calls
from tests.runs import runs_of
from workers.intake.sort import Sorter, Sorting

# raised only with what `tests.benchmarks.bench_sort` shows before and after in the commit message
PYTHON_CALLS = 0.3  # a record: `page_inputs`, of those that are not from their key's usual page
C_CALLS = 5.2  # the record's decoding, look-ups, sizes and its place in a list


def calls(records: list[Record], sorter: Sorter) -> Counter[str]:
    runs = runs_of(records)
    sorter.sort(runs, now=NOW, into=Sorting())  # all keys and pages are known behind this
    into = Sorting()
    with counted_calls() as counted:
        sorter.sort(runs, now=NOW, into=into)
    assert sum(map(len, into.lines.values())) == len(records)
    return counted


def test_a_record_more_costs_few_calls() -> None:
    sorter, one = Sorter(policy_of(KEYS)), records_of(seed=7)
    two = [*one, *(Record(each.offset + len(one), NOW, 1, bytes(each.value or b"")) for each in one)]
    chunk, longer = calls(one, sorter), calls(two, sorter)
    assert (longer["call"] - chunk["call"]) / len(one) <= PYTHON_CALLS
    assert (longer["c_call"] - chunk["c_call"]) / len(one) <= C_CALLS
