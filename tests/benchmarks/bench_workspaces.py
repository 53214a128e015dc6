"""What many workspaces cost beside few: records/s, CPU, memory, requests to S3 and their price, in one run.

    python -m tests.benchmarks.bench_workspaces [--workspaces 10,50,1000,10000,100000] [--records 400000] \
        [--plot FILE.png]

One workspace, the whale, has half of the records; the others share the rest evenly, each at least one. A
workspace's records are on one partition, as Kafka's keys have it; the whale's are on all. Each turn has a
fleet of its own, is measured from the first record taken until the last is committed, and `verify` must find
every record. Requests are counted by the worker (strongroom_store_requests_total). Prices are those of S3
Standard in us-east-1: $0.005 for 1,000 PUTs and LISTs, $0.0004 for 1,000 GETs and HEADs.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.costs import BY_SIZE, Cost, measured
from tests.benchmarks.figures import scrape
from tests.benchmarks.load import PARTITIONS, send
from tests.benchmarks.plot import Series, draw
from tests.benchmarks.policy_spread import account, encoded, key_of, publish
from tests.benchmarks.turns import own_fleet, proved, stack
from tests.stack import ladder
from tests.stack.s3 import S3
from topics import workspaces, write_keys
from workers.sample.load import records

SIZE = 760  # bytes a record
PRICES = {
    "put": 5e-6,
    "list": 5e-6,
    "versions": 5e-6,
    "uploads": 5e-6,
    "get": 4e-7,
    "stat": 4e-7,
    "delete": 0.0,
}
REQUESTS = re.compile(r'strongroom_store_requests_total\{operation="(\w+)"\}')


class Turn(NamedTuple):
    cost: Cost
    requests: dict[str, int]
    objects: int
    entries: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspaces", default="10,50,1000,10000,100000")
    parser.add_argument("--records", type=int, default=400_000, help="at least; twice the workspaces if more")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with stack() as (bootstrap, s3):
        print(f"{SIZE} bytes a record, {PARTITIONS} partitions; {ladder.said()}", flush=True)
        numbers = [int(number) for number in asked.workspaces.split(",")]
        rows: list[tuple[float, float, float, float]] = []
        for accounts in numbers:
            count = max(asked.records, 2 * accounts)
            found = turn(bootstrap, s3, accounts, count)
            show(accounts, count, found)
            cost = found.cost
            rows.append(
                (count / cost.seconds, cost.cpu / count * 1e6, cost.rss / 2**20, dollars(found, count))
            )
    if asked.plot:
        names = ("records/s", "CPU µs a record", "MiB RSS", "$ for 1 M records")
        series = [
            Series(name, values, logarithmic=name.startswith("$"))
            for name, values in zip(names, zip(*rows, strict=True), strict=True)
        ]
        title = f"{SIZE} bytes a record, half of the records one workspace's"
        draw(asked.plot, title, "workspaces", numbers, series)


def turn(bootstrap: str, s3: S3, accounts: int, count: int) -> Turn:
    with own_fleet(bootstrap, s3, **BY_SIZE) as fleet:
        os.environ.update(fleet.environment())
        publish(fleet, workspaces.NAME, (encoded(account(number, seq=1)) for number in range(accounts)))
        publish(fleet, write_keys.NAME, (key_of(number, accounts) for number in range(accounts)))
        send(fleet, calls(accounts, count))
        worker = fleet.worker()
        last: dict[str, float] = {}

        def look() -> None:
            if worker.get("/metrics")[0] == 200:
                last.update(scrape(worker))

        cost = measured(fleet, [worker], count, look=look)
        found = proved(fleet, count)
        requests = {
            match[1]: int(value)
            for name, value in last.items()
            if (match := REQUESTS.fullmatch(name)) and value
        }
        # the last look may have come before the last commits
        assert requests["put"] >= found["objects"] - PARTITIONS, (requests, found["objects"])
        return Turn(cost, requests, found["objects"], found["entries"])


def calls(accounts: int, count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, value): every second one is the whale's."""
    for number, (drawn, value) in enumerate(records(1, count, 1, SIZE)):
        small = number // 2 % accounts
        whose = 0 if number % 2 else small
        key = key_of(whose, accounts)[0]
        yield (number // 2 if whose == 0 else small) % PARTITIONS, key, value.replace(drawn, key, 1)


def dollars(found: Turn, count: int) -> float:
    """For the requests of 1 M records."""
    return sum(PRICES[operation] * asked for operation, asked in found.requests.items()) * 1e6 / count


def show(accounts: int, count: int, found: Turn) -> None:
    requests = sum(found.requests.values()) * 1e6 / count
    print(
        f"{accounts:>7,} workspaces {count:>9,} records {count / found.cost.seconds:>8,.0f} records/s "
        f"{found.cost.cpu / count * 1e6:7.2f} CPU µs/record {found.cost.rss / 2**20:5.0f} MiB RSS "
        f"{found.objects:>7,} objects {found.entries:>4} entries "
        f"{requests:>10,.0f} requests and ${dollars(found, count):7.3f} for 1 M records; "
        f"{found.requests}",
        flush=True,
    )


if __name__ == "__main__":
    main()
