"""Runs the producer of a benchmark of policy, and tells it how far it may go.

Full load means that the producer keeps a fixed number of records ahead of the workers, all the time: there is
always something to take, so nobody is idle, and nobody falls behind.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.figures import scrape
from tests.system.fleet import Fleet, Worker

AHEAD = 24_000  # records that the producer keeps before the workers: a second of full load and more
PROBE_EVERY = 5  # every fifth record is of a key that is watched
FEED_EVERY = 0.2  # seconds between two looks at what the workers have taken


class Look(NamedTuple):
    at: float  # monotonic seconds
    taken: float  # records by all workers so far
    idle: int  # ticks of all cores in which they had nothing to do
    cores: int  # ticks of all cores


def cores() -> tuple[int, int]:
    """(idle, all) ticks of all cores since the machine started."""
    ticks = [int(count) for count in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


class Feeder:
    """Runs the producer, and tells it how far it may go."""

    def __init__(self, fleet: Fleet, workers: Sequence[Worker], journal: Path) -> None:
        self.journal = journal
        self.peers = list(workers)  # by whose progress the load goes: all, or those that are well
        self._all = len(workers)
        self._producer = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.policy_load", fleet.bootstrap,
             f"{fleet.prefix}raw-events", str(fleet.partitions), str(PROBE_EVERY), str(journal)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._feeding = threading.Thread(target=self._feed, daemon=True)
        self.failure: BaseException | None = None
        self.looks: list[Look] = []

    def start(self) -> None:
        self._feeding.start()

    def tell(self, **what: object) -> None:
        assert self._producer.stdin is not None
        with self._lock:
            self._producer.stdin.write(json.dumps(what) + "\n")
            self._producer.stdin.flush()

    def end(self) -> int:
        """Ends the producer in order; returns how many records it sent."""
        self._stop()
        if self.failure is not None:
            raise self.failure
        count = int(self._producer.communicate(timeout=180)[0])
        assert self._producer.returncode == 0, "the producer failed"
        return count

    def close(self) -> None:
        self._stop()
        self._producer.kill()
        self._producer.wait()

    def load(self, since: float, until: float) -> str:
        """What passed between two monotonic times, and how busy the machine was with it."""
        within = [look for look in self.looks if since <= look.at <= until]
        first, last = within[0], within[-1]
        busy = 1 - (last.idle - first.idle) / (last.cores - first.cores)
        return (
            f"{(last.taken - first.taken) / (last.at - first.at):,.0f} records/s, all cores {busy:.0%} busy"
        )

    def _stop(self) -> None:
        self._over.set()
        if self._feeding.ident is not None:
            self._feeding.join()

    def _feed(self) -> None:
        try:
            with ThreadPoolExecutor(self._all) as threads:
                self._feed_by(threads)
        except BaseException as error:
            self.failure = error

    def _feed_by(self, threads: ThreadPoolExecutor) -> None:
        while not self._over.is_set():
            peers = list(self.peers)
            found = list(threads.map(scrape, peers))
            taken = sum(
                each["strongroom_records_in_total"] - each["strongroom_records_dropped_total"]
                for each in found
            )
            # partitions are shared evenly: what one takes that is cut off is guessed from the others
            taken *= self._all / len(peers)
            self.looks.append(Look(time.monotonic(), taken, *cores()))
            self.tell(allow=int(taken) + AHEAD)
            self._over.wait(FEED_EVERY)
