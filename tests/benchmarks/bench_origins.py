"""The whole archive with origin rules and observations beside one without them, in turns in one run.

With: as shipped. Each source lists its host, each workspace quarantines copies, each key has verdicts, and
workers tell the judge what they see. Without: the same records, workspaces that list nothing, no verdict, and
a worker that judges and observes none (unwatched_worker.py). One key in 20 has a copy and another foreign
host, which send a fifth of its records: 1% of all, where a measured site had 0.06%.

A turn has a fleet of its own and is measured from the first record that its worker has taken until all are
committed: it is told to stop once it has taken them. CPU is user + system of the worker until it has ended,
so with what it tells the judge at last. Exits 1 if the median of the rounds' ratios of records/s is below
0.95, or if a turn did not do what it is there for.

    python -m tests.benchmarks.bench_origins [RECORDS] [ROUNDS]
"""

import asyncio
import os
import signal
import sys
import time
from functools import partial
from statistics import median

from msgspec.structs import replace

from tests.benchmarks.costs import BY_SIZE, Cost, line, measured
from tests.benchmarks.load import KEYS, PARTITIONS, produce
from tests.benchmarks.origin_load import copy, own, records, scraped
from tests.benchmarks.turns import own_fleet, stack
from tests.stack import ladder
from tests.stack.s3 import S3
from tests.system.fleet import COMMAND, Fleet
from topics import origin_observations
from topics.origin_verdicts import VerdictKind
from topics.workspaces import OriginPolicy, Source, SourceType
from workers import opening
from workers.by import By
from workers.cli.policy import open_policy
from workers.ledger.policy_commands import add_key, set_workspace
from workers.ledger.verdict_commands import Judged, append_verdicts, confirm_verdicts
from workers.sample.load import load_keys
from workers.settings import Settings
from workers.stream.log import Log

ENOUGH = 0.95  # of the records/s without
WORKSPACES, SOURCES = 20, 10
UNWATCHED = (sys.executable, "-m", "tests.benchmarks.unwatched_worker")
NAMES = {True: "with", False: "without"}
QUARANTINES = {True: OriginPolicy.QUARANTINE, False: OriginPolicy.FLAG}


def main(count: int, rounds: int) -> None:
    ratios: list[tuple[float, float]] = []  # of records/s, and of CPU
    rss: dict[bool, list[int]] = {True: [], False: []}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    with stack() as (bootstrap, s3):
        print(
            f"{rounds} rounds of {count:,} calls of the browser SDK, {KEYS} keys, {PARTITIONS} partitions;",
            ladder.said(),
            flush=True,
        )
        for number in range(rounds):
            costs = {}
            for watched in (True, False) if number % 2 else (False, True):
                costs[watched] = cost = turn(bootstrap, s3, count, watched=watched)
                rss[watched].append(cost.rss)
                print(line(NAMES[watched], cost, count), flush=True)
            on, off = costs[True], costs[False]
            ratios.append((off.seconds / on.seconds, on.cpu / off.cpu))
            print(
                f"        with / without: {ratios[-1][0]:.3f} records/s, {ratios[-1][1]:.3f} CPU", flush=True
            )
    speed, cpu = (median(each) for each in zip(*ratios, strict=True))
    print(
        f"with / without, median of {rounds}: {speed:.3f} of the records/s (at least {ENOUGH}), "
        f"{cpu:.3f} of the CPU a record; RSS {max(rss[True]) / 2**20:.0f} / {max(rss[False]) / 2**20:.0f} MiB"
    )
    if speed < ENOUGH:
        sys.exit("NOT ENOUGH")
    print("enough")


def turn(bootstrap: str, s3: S3, count: int, *, watched: bool) -> Cost:
    # batches are flushed by size, and all of them at the end
    with own_fleet(bootstrap, s3, BY_SIZE) as fleet:
        os.environ.update(fleet.environment())
        asyncio.run(set_up(watched=watched))
        produce(fleet, records(1, count, KEYS))
        fleet.command = (COMMAND,) if watched else UNWATCHED
        cost = measured(fleet, [fleet.worker()], count)
        fleet.command = (COMMAND,)
        check(fleet, count, watched=watched)
        return cost


async def set_up(*, watched: bool) -> None:
    """20 workspaces of 10 sources, a key each; what each site owns, and what is said of others."""
    by = By("bench", "bench", "bench", now=time.time_ns() // 1_000_000)
    keys = load_keys(KEYS)
    async with open_policy(Settings.load()) as books:
        for workspace in range(WORKSPACES):
            sources = tuple(
                Source(
                    id=f"s{source}",
                    type=SourceType.BROWSER,
                    allowed_origins=(own(source * WORKSPACES + workspace),) if watched else (),
                )
                for source in range(SOURCES)
            )
            edit = partial(replace, sources=sources, origins=QUARANTINES[watched])
            await set_workspace(books, f"w{workspace}", edit, by)
        for number, key in enumerate(keys):
            await add_key(books, key, f"w{number % WORKSPACES}", f"s{number // WORKSPACES}", by)
        if watched:
            copies = [
                Judged(key, f"w{n % WORKSPACES}", copy(n), VerdictKind.COPY, {}) for n, key in enumerate(keys)
            ]
            await append_verdicts(books.verdicts, copies, by)
            for workspace in range(WORKSPACES):
                for word, host in (
                    (VerdictKind.BENIGN, "partner.example"),
                    (VerdictKind.HOSTILE, "thief.example"),
                ):
                    await confirm_verdicts(
                        books.verdicts, f"w{workspace}", keys[workspace::WORKSPACES], host, word, by
                    )


def check(fleet: Fleet, count: int, *, watched: bool) -> None:
    """All of it is in the ledger, as each side must have decided it, and the judge was told or not."""
    found = fleet.json("verify")
    assert found["clean"] and found["offsets"] == count, found
    became = {name: found["records"].get(name, 0) for name in ("accepted", "flagged", "quarantined")}
    told = asyncio.run(observations(fleet))
    foreign = sum(1 for key in range(KEYS) if scraped(key))
    if watched:
        # a fifth of the scraped keys' records, one half each: within a tenth of what is drawn at random
        share = count * foreign / KEYS / 10
        for name in ("flagged", "quarantined"):
            assert abs(became[name] - share) < share / 10, became
        assert sum(became.values()) == count, became
        assert told, "nobody was told of any host"
    else:
        assert became == {"accepted": count, "flagged": 0, "quarantined": 0}, became
        assert not told, "observations were sent"
    print(f"        {NAMES[watched]}: {became}, {told:,} observations", flush=True)


async def observations(fleet: Fleet) -> int:
    log = Log(opening.kafka(Settings.load()))
    topic = fleet.prefix + origin_observations.NAME
    try:
        bounds = await log.bounds(topic, await log.partitions(topic))
    finally:
        await log.close()
    return sum(end - first for first, end in bounds.values())


if __name__ == "__main__":
    main(*(int(given) for given in (*sys.argv[1:], *("1_000_000", "5")[len(sys.argv) - 1 :])))
