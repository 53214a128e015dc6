"""What telling the judge costs: sorting with and without it, and a span that is read and hashed.

`python -m tests.benchmarks.bench_observations`. CPU time, the phases take turns over one set of records, and
both costs are of a record that was taken: spans are what a partition brings in 15 s at a given rate.
"""

import re
import time
from dataclasses import replace

from tests.benchmarks.bench_sort import KEYS, NOW, RECORDS, best, policy_of, records_of
from tests.runs import runs_of
from topics.origin_observations import codec
from workers.intake.dispositions import Decision
from workers.intake.facts import Account
from workers.intake.observing import HashKey, Span, observe
from workers.intake.samples import Group, Samples
from workers.intake.sort import Sorter, Sorting

RATES = (10, 100, 1000, 10_000)  # records a second of one partition
SPAN = 15  # seconds
ROUNDS = 12
HASHED = HashKey(1, bytes(32))


def main() -> None:
    records, policy = records_of(seed=7), policy_of(KEYS)
    runs = runs_of(records)
    sorter, seen = Sorter(policy), Samples(0)

    def off() -> None:
        sorter.sort(runs, now=NOW, into=Sorting())

    def on() -> None:
        nonlocal seen
        if seen.groups and sum(group.records for group in seen.groups.values()) > RATES[-1] * SPAN:
            seen = Samples(0)
        sorter.sort(runs, now=NOW, into=Sorting(), seen=seen)

    def told(samples: Samples) -> int:
        by_source: dict[tuple[str, str], dict[Decision, Group]] = {}
        for decision, group in samples.groups.items():
            by_source.setdefault((decision.workspace, decision.source), {})[decision] = group
        rows = 0
        for (workspace, source), groups in by_source.items():
            known = policy.workspace(workspace)
            assert known is not None
            span = Span("raw-events", "q", 1, 0, 0, 10**9, NOW, NOW)
            for row in observe(span, groups, Account(known, source), HASHED):
                codec.encode(row)
                rows += 1
        return rows

    costs = best({"off": off, "on": on})
    print(f"sort {costs['off']:.3f} µs a record, with samples {costs['on']:.3f}")
    copies = [
        replace(record, value=re.sub(rb"shop\d+\.", b"copy%d." % record.offset, record.value or b""))
        for record in records
    ]
    for what, taken in (("own", records), ("a new host each", copies)):
        for rate in RATES:
            samples = Samples(0)
            left = rate * SPAN
            while left > 0:
                sorter.sort(runs_of(taken[: min(left, RECORDS)]), now=NOW, into=Sorting(), seen=samples)
                left -= RECORDS
            kept = sum(len(group.kept) for group in samples.groups.values())
            quickest = float("inf")
            for _ in range(ROUNDS):
                began = time.process_time()
                rows = told(samples)
                quickest = min(quickest, time.process_time() - began)
            print(
                f"{what}, {rate} records/s: {kept} of {rate * SPAN} read, {rows} rows, "
                f"{quickest * 1e3:.1f} ms, {quickest / rate / SPAN * 1e6:.3f} µs a record, "
                f"{quickest / SPAN:.3%} of a core"
            )


if __name__ == "__main__":
    main()
