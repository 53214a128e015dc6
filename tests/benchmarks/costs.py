"""What workers cost to archive a log that is full when they start: seconds, CPU, memory."""

import asyncio
import signal
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tests.benchmarks.figures import cpu_of, cpu_of_children, peak_of, scrape, total
from tests.stack.s3 import REGION
from tests.system.fleet import Fleet, Worker
from workers.cli import running
from workers.ledger.standing import standings
from workers.store.s3 import open_s3

FLUSH_BYTES = 64 * 1024 * 1024
# flushes are due by size alone, and all at the end: an interval's rest would be waited for
BY_SIZE = {"STRONGROOM_FLUSH_INTERVAL": "3000", "STRONGROOM_SHUTDOWN_TIMEOUT": "3000"}
WITHIN = 3600.0  # seconds for a turn: 100,000 workspaces take many minutes
LOOK = 0.25  # seconds between two looks at a worker's metrics, which cost it CPU
GAUGES = 2.0  # seconds in which a worker's gauges are set anew, and more
FIRST_LOOK, LAST_LOOK = 0.02, 0.05  # before it has taken anything, and while it ends


class Cost(NamedTuple):
    seconds: float
    cpu: float  # seconds, user and system
    rss: int  # bytes, the most of each worker, together


def line(name: str, cost: Cost, count: int) -> str:
    return (
        f"{name:7} {count / cost.seconds:>10,.0f} records/s  {cost.cpu / count * 1e6:6.2f} CPU µs/record  "
        f"{cost.rss / 2**20:6.0f} MiB RSS  {cost.seconds:6.1f} s"
    )


def archive(fleet: Fleet, count: int, flush_bytes: int = FLUSH_BYTES) -> Cost:
    """A worker's whole life: seconds and CPU from its start to its end."""
    began, before = time.perf_counter(), cpu_of_children()
    worker = fleet.worker(STRONGROOM_FLUSH_BYTES=str(flush_bytes), **BY_SIZE)
    rss = stopped_after(fleet, [worker], count)
    return Cost(time.perf_counter() - began, cpu_of_children() - before, rss)


def measured(fleet: Fleet, workers: Sequence[Worker], count: int) -> Cost:
    """From the first record that one of them has taken until they have ended; the CPU since then.

    They are told to stop once all of the `count` records are taken, and commit what waits. Before them the
    fleet has archived nothing.
    """
    before = cpu_of_children()
    started = began = time.perf_counter()
    at_begin = 0.0
    while not told(workers)("strongroom_records_in_total"):
        began, at_begin = time.perf_counter(), sum(cpu_of(worker.process.pid) for worker in workers)
        assert began - started < WITHIN, workers[0].log()
        time.sleep(FIRST_LOOK)
    rss = stopped_after(fleet, workers, count)
    return Cost(time.perf_counter() - began, cpu_of_children() - before - at_begin, rss)


def stopped_after(fleet: Fleet, workers: Sequence[Worker], count: int) -> int:
    """Stops them once all is taken; returns, when they have ended, their peaks together."""
    began = time.perf_counter()
    while not all_taken(fleet, workers, count):
        assert time.perf_counter() - began < WITHIN, workers[0].log()
        time.sleep(LOOK)
    for worker in workers:
        worker.process.send_signal(signal.SIGTERM)
    peaks: dict[int, int] = {}
    while alive := [worker.process.pid for worker in workers if worker.process.poll() is None]:
        assert time.perf_counter() - began < WITHIN, workers[0].log()
        peaks.update((pid, peak) for pid in alive if (peak := peak_of(pid)))
        time.sleep(LAST_LOOK)
    for worker in workers:
        assert worker.process.returncode == 0, worker.log()
    return sum(peaks.values())


def all_taken(fleet: Fleet, workers: Sequence[Worker], count: int) -> bool:
    now = told(workers)
    taken = now("strongroom_records_in_total")
    if taken - now("strongroom_records_dropped_total") >= count:
        return True
    if taken < count:
        return False
    # what a worker had sent when its partition went to another one counts as dropped, and yet may land
    landed = archived(fleet)
    time.sleep(GAUGES)  # what is still shown as waiting then was no part of that
    return landed + told(workers)("strongroom_buffered_records") >= count


def told(workers: Sequence[Worker]) -> Callable[[str], float]:
    """One look at all of them: a metric's name → its sum over them and all labels. They must be alive."""
    for worker in workers:
        assert worker.process.poll() is None, worker.log()
    found = [metrics for worker in workers if (metrics := scrape(worker, starting=True))]
    return lambda name: sum(total(each, name) for each in found)


def archived(fleet: Fleet) -> int:
    """How many offsets the ledger has, by the heads of its chains: workers' own counts can't tell."""
    return asyncio.run(_archived(fleet))


async def _archived(fleet: Fleet) -> int:
    # no `strongroom ledger head`: its CPU would be counted with the workers'
    store = await open_s3(fleet.bucket, endpoint=fleet.endpoint, region=REGION)
    try:
        return sum(standing.next or 0 for standing in await standings(store, running.patient()))
    finally:
        await store.close()
