"""The same records by 1, 2, 4 and 8 workers: records/s, CPU µs a record, memory, in one run.

    python -m tests.benchmarks.bench_scaling [--workers 1,2,4,8] [--records 2000000] [--plot FILE.png]

A turn has a fleet of its own, whose workers are started together on a log that is full. It is measured, CPU
too, from the first record that one of them has taken until all is committed and they have ended, with what
they make of their group's rebalances. `verify` must find every record. Kafka and S3 have the same cores:
where these are few, records/s end where the cores do, and CPU a record says what a worker more costs.
"""

import argparse
import signal
import sys
from pathlib import Path

from tests.benchmarks.costs import BY_SIZE, Cost, measured
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE, fill, set_up
from tests.benchmarks.plot import Series, draw
from tests.benchmarks.turns import own_fleet, proved, stack
from tests.stack import ladder
from tests.stack.s3 import S3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", default="1,2,4,8")
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    numbers = [int(number) for number in asked.workers.split(",")]
    count: int = asked.records
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    found: list[Cost] = []
    with stack() as (bootstrap, s3):
        title = f"{count:,} records of {SIZE} bytes, {KEYS} keys, {PARTITIONS} partitions; {ladder.said()}"
        print(title, flush=True)
        for number in numbers:
            found.append(cost := turn(bootstrap, s3, number, count))
            print(
                f"{number} workers {count / cost.seconds:>10,.0f} records/s {cost.cpu / count * 1e6:6.2f} "
                f"CPU µs/record {cost.rss / 2**20:6,.0f} MiB RSS in all {cost.seconds:6.1f} s",
                flush=True,
            )
    if asked.plot:
        speed = Series("records/s", [count / cost.seconds for cost in found])
        cpu = Series("CPU µs a record", [cost.cpu / count * 1e6 for cost in found])
        memory = Series("MiB RSS, all workers", [cost.rss / 2**20 for cost in found])
        draw(asked.plot, title, "workers", numbers, [speed, cpu, memory])


def turn(bootstrap: str, s3: S3, number: int, count: int) -> Cost:
    with own_fleet(bootstrap, s3, BY_SIZE) as fleet:
        set_up(fleet)
        fill(fleet, count)
        cost = measured(fleet, [fleet.worker(f"worker-{each}") for each in range(number)], count)
        proved(fleet, count)
        return cost


if __name__ == "__main__":
    main()
