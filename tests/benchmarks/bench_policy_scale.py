"""A million write keys and 100,000 workspaces beside 200 keys: restart under load, memory, CPU a record.

    python -m tests.benchmarks.bench_policy_scale [--keys 1000000] [--workspaces 100000] [--rounds 5]

Two fleets on one broker and one store, alike but for the policy that their topics hold. It is written
straight to the topics, in their own codec: the readers can't tell. In one run, in turns:
- a worker is restarted while another one archives `--rate` records/s: time from its start until /readyz says
  yes, and its highest RSS by then;
- one worker of each fleet archives the same records of the same 200 keys by turns: CPU µs a record, user and
  system, of the whole process, from the first record to the last commit. And once more a round, while 50
  workspaces a second are changed, every second one of them one whose records are being decided about.

Exits 1 if a target is missed: ready within 20 s, 600 MB more, 5 % more CPU, by the medians of the rounds.
Full size: some 6 minutes on two cores, and 3 GB of memory.
"""

import argparse
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.benchmarks.figures import cpu_of, peak_of, scrape
from tests.benchmarks.load import KEYS, fill, set_up
from tests.benchmarks.policy_spread import UPDATES, spread, updates
from tests.benchmarks.turns import own_fleet, servers
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, Worker, wait_until

READY, MORE, SHARE = 20.0, 600e6, 1.05  # seconds, bytes, of the CPU with 200 keys
RECORDS = 200_000  # a turn
SETTLED = 10.0  # seconds of load between two starts


class Start(NamedTuple):
    seconds: float
    rss: int  # bytes, the highest


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--workspaces", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--rate", type=int, default=12_000, help="records/s while a worker is restarted")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the servers are closed
    print(f"{asked.keys:,} keys, {asked.workspaces:,} workspaces; {ladder.said()}", flush=True)
    with servers() as (kafka, s3), made(kafka, s3) as few, made(kafka, s3) as many:
        spread(many, asked.keys, asked.workspaces)
        before = restarted("few", few, asked.rate, asked.restarts)
        well = judged_starts(before, restarted("many", many, asked.rate, asked.restarts))
        costs = in_turns(few, many, asked.rounds)
        well &= judged_costs(*costs)
    sys.exit(0 if well else 1)


@contextmanager
def made(kafka: Kafka, s3: S3) -> Iterator[Fleet]:
    """With the keys of the load, and nobody else's."""
    with own_fleet(kafka.bootstrap, s3, {"STRONGROOM_FLUSH_INTERVAL": "5"}) as fleet:
        set_up(fleet)
        yield fleet


# -- restart under load -------------------------------------------------------------------------------


def restarted(name: str, fleet: Fleet, rate: int, times: int) -> list[Start]:
    """A worker that is started, stopped and started again, while another one archives."""
    first = fleet.worker("beside").wait_ready()
    producer = [sys.executable, "-m", "tests.benchmarks.soak_producer", fleet.bootstrap,
                f"{fleet.prefix}raw-events", str(rate), str(rate * 3600)]  # fmt: skip
    starts = []
    with subprocess.Popen(producer) as sending:
        try:
            for _ in range(times + 1):
                time.sleep(SETTLED)
                began = time.monotonic()
                worker = fleet.worker("restarted").wait_ready()
                starts.append(Start(time.monotonic() - began, peak_of(worker.process.pid)))
                time.sleep(SETTLED / 2)
                stop(worker)
        finally:
            sending.kill()
    stop(first)
    print(
        f"{name}: {', '.join(f'{each.seconds:.1f} s, {each.rss / 1e6:.0f} MB' for each in starts)}",
        flush=True,
    )
    return starts[1:]  # the first was no restart


def stop(worker: Worker) -> None:
    assert worker.stop() == 0, worker.log()


def judged_starts(few: list[Start], many: list[Start]) -> bool:
    seconds = statistics.median(each.seconds for each in many)
    before = statistics.median(each.seconds for each in few)
    more = statistics.median(each.rss for each in many) - statistics.median(each.rss for each in few)
    return all(
        [
            verdict(f"ready after a restart under load: {seconds:.1f} s, with {KEYS} keys {before:.1f} s",
                    f"{READY:g} s", seconds <= READY),
            verdict(f"highest RSS until then: {more / 1e6:,.0f} MB more", f"{MORE / 1e6:g} MB", more <= MORE),
        ]
    )  # fmt: skip


# -- CPU a record -------------------------------------------------------------------------------------


def in_turns(few: Fleet, many: Fleet, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """CPU µs a record with few keys, with many, and with many while workspaces change."""
    small, large = few.worker("small").wait_ready(), many.worker("large").wait_ready()
    caught_up(few, small)
    caught_up(many, large)
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(rounds + 1):
        costs = [cost(few, small), cost(many, large)]
        with updates(many, number):
            costs.append(cost(many, large))
        print("round", number or "(warm-up)", *(f"{each:.2f} µs" for each in costs), flush=True)
        if number:
            for figures, figure in zip(found, costs, strict=True):
                figures.append(figure)
    stop(small)
    stop(large)
    return found


def cost(fleet: Fleet, worker: Worker) -> float:
    """CPU µs a record, of RECORDS that are sent now."""
    before, began = committed(worker), cpu_of(worker.process.pid)
    fill(fleet, RECORDS)
    wait_until(lambda: committed(worker) >= before + RECORDS, 120, worker.log)
    return (cpu_of(worker.process.pid) - began) / RECORDS * 1e6


def committed(worker: Worker) -> float:
    return worker.metric("strongroom_records_total")


def caught_up(fleet: Fleet, worker: Worker) -> None:
    """With what the restarts have left."""

    def nothing_waits() -> bool:
        found = scrape(worker)
        return not found["strongroom_lag_records"] and not found["strongroom_buffered_records"]

    time.sleep(6)  # the ends of the log are asked for every 5 s
    wait_until(nothing_waits, 120, worker.log)


def judged_costs(few: list[float], many: list[float], updated: list[float]) -> bool:
    more = statistics.median(b / a for a, b in zip(few, many, strict=True))
    slower = statistics.median(b / a for a, b in zip(many, updated, strict=True))
    return all(
        [
            verdict(f"CPU a record: {statistics.median(many):.2f} µs, with {KEYS} keys "
                    f"{statistics.median(few):.2f}: {more:.3f} times", f"{SHARE:g}", more <= SHARE),
            verdict(f"with {UPDATES} updates/s {statistics.median(updated):.2f} µs: {slower:.3f} times",
                    f"{SHARE:g}", slower <= SHARE),
        ]
    )  # fmt: skip


def verdict(found: str, limit: str, well: bool) -> bool:
    print(f"{'ok    ' if well else 'MISSED'} {found} (at most {limit})", flush=True)
    return well


if __name__ == "__main__":
    main()
