"""What many workspaces cost beside few: records/s, CPU, memory, requests to S3 and their price, in one run.

    python -m tests.benchmarks.bench_workspaces [--workspaces 10,50,1000,10000,100000] [--records 400000] \
        [--plot FILE.png]

One workspace, the whale, has half of the records; the others share the rest evenly, each at least one. A
workspace's records are on one partition, as Kafka's keys have it; the whale's are on all. Each turn has a
fleet of its own, is measured from the first record taken until the last is committed, and `verify` must find
every record. Requests are counted by the server, at AWS's prices (asked_of_s3.py).
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.asked_of_s3 import RequestLog, Requests
from tests.benchmarks.costs import BY_SIZE, Cost, measured
from tests.benchmarks.load import PARTITIONS, SIZE, send
from tests.benchmarks.plot import Series, draw
from tests.benchmarks.policy_spread import account, encoded, key_of, publish
from tests.benchmarks.turns import own_fleet, proved, servers
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from topics import workspaces, write_keys
from workers.sample.load import records


class Turn(NamedTuple):
    cost: Cost
    requests: Requests
    objects: int
    entries: int
    stored: float  # bytes of a plain byte


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workspaces", default="10,50,1000,10000,100000")
    parser.add_argument("--records", type=int, default=400_000, help="at least; twice the workspaces if more")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with tempfile.TemporaryDirectory() as folder, servers(Path(folder) / "log") as (kafka, s3):
        print(f"{SIZE} bytes a record, {PARTITIONS} partitions; {ladder.said()}", flush=True)
        numbers = [int(number) for number in asked.workspaces.split(",")]
        rows: list[tuple[float, float, float, float]] = []
        for accounts in numbers:
            count = max(asked.records, 2 * accounts)
            found = turn(kafka, s3, Path(folder) / "log", accounts, count)
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


def turn(kafka: Kafka, s3: S3, log: Path, accounts: int, count: int) -> Turn:
    with own_fleet(kafka.bootstrap, s3, BY_SIZE) as fleet:
        os.environ.update(fleet.environment())
        publish(fleet, workspaces.NAME, (encoded(account(number, seq=1)) for number in range(accounts)))
        publish(fleet, write_keys.NAME, (key_of(number, accounts) for number in range(accounts)))
        send(fleet, calls(accounts, count))
        logged = RequestLog(log)
        cost = measured(fleet, [fleet.worker()], count)
        requests = logged.requests()
        assert requests is not None, "this needs versitygw as a process, which logs its requests"
        found = proved(fleet, count)
        stored = found["stored_bytes"] / found["plain_bytes"]
        return Turn(cost, requests, found["objects"], found["entries"], stored)


def calls(accounts: int, count: int) -> Iterator[tuple[int, bytes, bytes]]:
    """(partition, key, value): every second one is the whale's."""
    for number, (drawn, value) in enumerate(records(1, count, 1, SIZE)):
        small = number // 2 % accounts
        whose = 0 if number % 2 else small
        key = key_of(whose, accounts)[0]
        yield (number // 2 if whose == 0 else small) % PARTITIONS, key, value.replace(drawn, key, 1)


def dollars(found: Turn, count: int) -> float:
    """For the requests of 1 M records."""
    return found.requests.dollars * 1e6 / count


def show(accounts: int, count: int, found: Turn) -> None:
    asked = found.requests
    requests = sum(asked) * 1e6 / count
    print(
        f"{accounts:>7,} workspaces {count:>9,} records {count / found.cost.seconds:>8,.0f} records/s "
        f"{found.cost.cpu / count * 1e6:7.2f} CPU µs/record {found.cost.rss / 2**20:5.0f} MiB RSS "
        f"{found.objects:>7,} objects {found.entries:>4} entries "
        f"{requests:>10,.0f} requests and ${dollars(found, count):7.3f} for 1 M records; "
        f"{asked.puts:,} PUTs, {asked.lists:,} lists, {asked.gets:,} GETs, {asked.deletes:,} deletions; "
        f"{found.stored:.3f} bytes stored for each of plain text",
        flush=True,
    )


if __name__ == "__main__":
    main()
