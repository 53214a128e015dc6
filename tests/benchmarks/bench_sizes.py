"""What a record costs by its own size, by the size of a flush, and by the keys in policy, in one run.

    python -m tests.benchmarks.bench_sizes [--only records,flushes,keys] [--megabytes 800] [--plot FILE.png]

A turn has a fleet of its own and as many records as make so many megabytes, 1.5 M at most; of 78 bytes they
are what the peers get as small ones. It is measured from the first record that the worker has taken until
all are committed: it is told to stop once it has taken them, and only full buffers are flushed before. CPU is
user + system of the worker from then on, so without its start. `verify` must find every record.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.costs import BY_SIZE, FLUSH_BYTES, Cost, measured
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE, produce
from tests.benchmarks.peers import strongroom
from tests.benchmarks.peers.workload import PROFILES, workload
from tests.benchmarks.plot import Series, draw
from tests.benchmarks.policy_spread import spread
from tests.benchmarks.turns import own_fleet, proved, stack
from tests.stack import ladder
from tests.stack.s3 import S3
from workers.sample.load import records

MIB = 1024 * 1024
SMALL = PROFILES["small"]
SIZES = (SMALL.size, SIZE, 2_000, 8_000, 32_000, 128_000)  # bytes a record
FLUSHES = (1 * MIB, 4 * MIB, 16 * MIB, FLUSH_BYTES)
POLICY_KEYS = (KEYS, 10_000, 100_000, 1_000_000)
KEYS_A_WORKSPACE = 10
RECORDS_MAX = 1_500_000


class Shape(NamedTuple):
    size: int = SIZE  # bytes a record
    flush: int = FLUSH_BYTES
    keys: int = KEYS  # in policy; records are of 200 of them


class Found(NamedTuple):
    cost: Cost
    records: int
    objects: int

    @property
    def speed(self) -> float:
        return self.records / self.cost.seconds

    @property
    def cpu(self) -> float:
        """µs a record."""
        return self.cost.cpu / self.records * 1e6

    @property
    def rss(self) -> float:
        """MiB."""
        return self.cost.rss / MIB


class Sweep(NamedTuple):
    across: str
    points: tuple[int, ...]
    shape: Callable[[int], Shape]


SWEEPS = {
    "records": Sweep("bytes a record", SIZES, lambda size: Shape(size=size)),
    "flushes": Sweep("bytes a flush", FLUSHES, lambda flush: Shape(flush=flush)),
    "keys": Sweep("keys in policy", POLICY_KEYS, lambda keys: Shape(keys=keys)),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SWEEPS), help="sweeps, comma-separated")
    parser.add_argument("--megabytes", type=int, default=800, help="of records, a turn")
    parser.add_argument("--plot", type=Path, help="a file a sweep: its name is put before the suffix")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with stack() as (bootstrap, s3):
        print(f"{asked.megabytes} MB a turn, {KEYS} keys, {PARTITIONS} partitions; {ladder.said()}")
        for name in asked.only.split(","):
            sweep, found = SWEEPS[name], []
            for shape in map(sweep.shape, sweep.points):
                count = min(RECORDS_MAX, asked.megabytes * 1_000_000 // shape.size)
                found.append(turn(bootstrap, s3, shape, count))
                show(shape, found[-1])
            if asked.plot:
                file = asked.plot.with_stem(f"{asked.plot.stem}-{name}")
                plot(file, sweep, found)


def turn(bootstrap: str, s3: S3, shape: Shape, count: int) -> Found:
    with own_fleet(bootstrap, s3, {**BY_SIZE, "STRONGROOM_FLUSH_BYTES": str(shape.flush)}) as fleet:
        strongroom.register(fleet, SMALL if shape.size == SMALL.size else PROFILES["segment"])
        if shape.keys > KEYS:
            spread(fleet, shape.keys - KEYS, shape.keys // KEYS_A_WORKSPACE)
        produce(fleet, of_size(shape.size, count))
        cost = measured(fleet, [fleet.worker()], count)
        return Found(cost, count, proved(fleet, count)["objects"])


def of_size(size: int, count: int) -> Iterator[tuple[bytes, bytes]]:
    return workload(SMALL, count) if size == SMALL.size else records(1, count, KEYS, size)


def show(shape: Shape, found: Found) -> None:
    print(
        f"{shape.size:>7,} bytes a record, flushes of {shape.flush / MIB:>3.0f} MiB, {shape.keys:>9,} keys: "
        f"{found.speed:>9,.0f} records/s {found.speed * shape.size / 1e6:6.1f} MB/s "
        f"{found.cpu:8.2f} CPU µs/record {found.cpu / shape.size * 1e3:6.2f} ns/byte "
        f"{found.rss:5.0f} MiB RSS {found.objects:>6,} objects",
        flush=True,
    )


def plot(file: Path, sweep: Sweep, found: list[Found]) -> None:
    # by its size a record's cost goes over decades
    wide = sweep.points == SIZES
    series = [
        Series("records/s", [each.speed for each in found], logarithmic=wide),
        Series("CPU µs a record", [each.cpu for each in found], logarithmic=wide),
        Series("MiB RSS", [each.rss for each in found]),
        Series("objects for 1 M records", [each.objects * 1e6 / each.records for each in found]),
    ]
    draw(file, f"{KEYS} keys, {PARTITIONS} partitions", sweep.across, sweep.points, series)


if __name__ == "__main__":
    main()
