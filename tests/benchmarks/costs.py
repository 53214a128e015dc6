"""What a worker costs to archive a log: seconds, CPU, memory."""

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.stack.s3 import REGION
from tests.system.fleet import Fleet, Worker
from workers.cli import running
from workers.ledger.standing import standings
from workers.store.s3 import open_s3

FLUSH_BYTES = 64 * 1024 * 1024
WITHIN = 3600.0  # seconds for a turn: 100,000 workspaces take many minutes
LOOK = 0.25  # seconds between two looks at the worker's metrics, which cost it CPU
FIRST_LOOK, LAST_LOOK = 0.02, 0.05  # before it has taken anything, and while it commits the rest


class Cost(NamedTuple):
    seconds: float
    cpu: float  # seconds
    rss: int  # bytes, the highest


def line(name: str, cost: Cost, count: int) -> str:
    return (
        f"{name:7} {count / cost.seconds:>10,.0f} records/s  {cost.cpu / count * 1e6:6.2f} CPU µs/record  "
        f"{cost.rss / 2**20:6.0f} MiB RSS  {cost.seconds:6.1f} s"
    )


def measured(worker: Worker, count: int, *, look: Callable[[], object] = lambda: None) -> Cost:
    """From the first record that was taken until the worker has ended. Calls `look` while it commits."""
    before = cpu_of_children()
    began, at_begin = time.perf_counter(), 0.0
    while not worker.metric("strongroom_records_in_total"):
        assert worker.process.poll() is None, worker.log()
        began, at_begin = time.perf_counter(), cpu_of(worker)
        time.sleep(FIRST_LOOK)
    while worker.metric("strongroom_records_in_total") < count:
        assert worker.process.poll() is None, worker.log()
        assert time.perf_counter() - began < WITHIN, worker.log()
        time.sleep(LOOK)
    rss = peak_of(worker)
    worker.process.send_signal(signal.SIGTERM)
    while worker.process.poll() is None and worker.metric("strongroom_records_total") < count:
        look()
        time.sleep(LAST_LOOK)
    seconds = time.perf_counter() - began
    assert worker.process.wait(WITHIN) == 0, worker.log()
    return Cost(seconds, cpu_of_children() - before - at_begin, rss)


def cpu_of(worker: Worker) -> float:
    """Seconds, user and system (proc(5): fields 14 and 15)."""
    fields = Path(f"/proc/{worker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def archive(fleet: Fleet, count: int, flush_bytes: int = FLUSH_BYTES) -> Cost:
    before = cpu_of_children()
    worker = fleet.worker(STRONGROOM_FLUSH_BYTES=str(flush_bytes), STRONGROOM_FLUSH_INTERVAL="10")
    seconds = until_committed(fleet, [worker], count)
    rss = peak_of(worker)
    assert worker.stop() == 0, worker.log()
    return Cost(seconds, cpu_of_children() - before, rss)


def until_committed(fleet: Fleet, workers: Sequence[Worker], count: int) -> float:
    """Seconds from the first record that one of them has taken until all are in the ledger.

    What a worker had sent when its partition went to another one is committed, and in no worker's count.
    """

    def taken() -> float:
        for worker in workers:
            assert worker.process.poll() is None, worker.log()
        return sum(worker.metric("strongroom_records_in_total") for worker in workers)

    started = began = time.perf_counter()
    while not taken():
        began = time.perf_counter()
        assert began - started < WITHIN, workers[0].log()
        time.sleep(0.1)
    while taken() < count or asyncio.run(_archived(fleet)) < count:
        assert time.perf_counter() - began < WITHIN, workers[0].log()
        time.sleep(LOOK)
    return time.perf_counter() - began


async def _archived(fleet: Fleet) -> int:
    """How many offsets the ledger has, by the heads of its chains."""
    store = await open_s3(fleet.bucket, endpoint=fleet.endpoint, region=REGION)
    try:
        return sum(standing.next or 0 for standing in await standings(store, running.patient()))
    finally:
        await store.close()


def peak_of(worker: Worker) -> int:
    """Bytes, the most that were resident."""
    lines = Path(f"/proc/{worker.process.pid}/status").read_text().splitlines()
    return next(int(text.split()[1]) * 1024 for text in lines if text.startswith("VmHWM"))


def cpu_of_children() -> float:
    """Seconds, user and system, of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def max_rss(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024
