"""Good records beside a flood of invented write keys, and without it, in turns in one run.

Records/s and CPU µs of the worker a good record, its memory, and what the flood stored against its budget.
Each turn has a fleet of its own with the same good records; a flood is spread evenly among them, each of its
records with a key of its own. The worker reads the log as fast as it can: no load is harder than that, and
each record of a flood takes its time from the good ones. So how large a share the flood is decides.

    python -m tests.benchmarks.bench_flood [GOOD] [FLOOD] [ROUNDS]
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.costs import BY_SIZE, Cost, line, measured
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE, produce, set_up
from tests.benchmarks.turns import own_fleet, stack
from tests.stack import ladder
from tests.stack.s3 import S3
from tests.system.fleet import Fleet
from workers.intake.dispositions import PLATFORM, UNCLAIMED
from workers.intake.unknown_keys import HOUR
from workers.ledger.walk import entries_of
from workers.sample.load import records
from workers.settings import Settings
from workers.store.retry import Retry
from workers.store.s3 import open_s3

ENOUGH = 0.9  # of the throughput without the flood


def main(good: int, flood: int, rounds: int) -> None:
    costs: dict[bool, list[Cost]] = {False: [], True: []}
    bounded = True
    with stack() as (bootstrap, s3):
        print(
            f"{good:,} good records of {SIZE} bytes with {KEYS} keys; a flood of {flood:,} with a key each; "
            f"{PARTITIONS} partitions; {ladder.said()}"
        )
        for number in range(2 * rounds):
            flooded = bool(number % 2)
            with own_fleet(bootstrap, s3) as fleet:
                set_up(fleet)
                extra = flood if flooded else 0
                began = time.time() * 1000 // HOUR
                produce(fleet, mixed(good, extra))
                hours = int(time.time() * 1000 // HOUR - began) + 1
                cost = measured(fleet, [fleet.worker(**BY_SIZE)], good + extra)
                costs[flooded].append(cost)
                print(line("flooded" if flooded else "without", cost, good))
                if flooded:
                    bounded &= stored(s3, fleet, hours)
    told(costs, good, flood)
    if not bounded:
        sys.exit("more was stored than the budget allows")


def mixed(good: int, flood: int) -> Iterator[tuple[bytes, bytes]]:
    """The good records with the flood's among them."""
    invented = 0
    for number, (key, value) in enumerate(records(1, good, KEYS, SIZE), 1):
        yield key, value
        while invented * good < flood * number:
            strange = b"flood%027d" % invented
            yield strange, value.replace(key, strange, 1)
            invented += 1


def stored(s3: S3, fleet: Fleet, hours: int) -> bool:
    """Says what is kept of unknown keys; whether that is within the budget of the hours of the log."""
    plain, sealed = asyncio.run(_stored(s3, fleet))
    budget = PARTITIONS * hours * int(Settings.model_fields["unknown_key_bytes_max"].default)
    print(
        f"        unclaimed: {plain / 2**20:,.1f} MiB plain, {sealed / 2**20:,.1f} MiB sealed; the budget "
        f"of {PARTITIONS} partitions and {hours} hours is {budget / 2**20:,.0f} MiB"
    )
    return plain <= budget


async def _stored(s3: S3, fleet: Fleet) -> tuple[int, int]:
    """Plain and stored bytes of unclaimed objects."""
    store = await open_s3(fleet.bucket, endpoint=s3.endpoint, region="us-east-1")
    plain = sealed = 0
    try:
        async for entry in entries_of(store, Retry(attempts=3)):
            for each in entry.objects:
                if (each.workspace, each.source) == (PLATFORM, UNCLAIMED):
                    plain += each.plain_bytes
                    sealed += each.stored_bytes
    finally:
        await store.close()
    return plain, sealed


def told(costs: dict[bool, list[Cost]], good: int, flood: int) -> None:
    speed = {flooded: median(good / cost.seconds for cost in each) for flooded, each in costs.items()}
    cpu = {flooded: median(cost.cpu for cost in each) for flooded, each in costs.items()}
    rss = {flooded: max(cost.rss for cost in each) for flooded, each in costs.items()}
    share = speed[True] / speed[False]
    print(
        f"good records/s flooded / without: {share:.3f} (at least {ENOUGH}); CPU µs a good record "
        f"{cpu[True] / good * 1e6:.2f} / {cpu[False] / good * 1e6:.2f}; "
        f"a record of the flood costs {(cpu[True] - cpu[False]) / flood * 1e6:.2f} µs; "
        f"RSS {rss[True] / 2**20:.0f} / {rss[False] / 2**20:.0f} MiB"
    )
    print("enough" if share >= ENOUGH else "NOT ENOUGH")


if __name__ == "__main__":
    main(*(int(given) for given in (*sys.argv[1:], *("10_000_000", "1_000_000", "1")[len(sys.argv) - 1 :])))
