"""What a soak looks at, every few seconds: the worker's process, its metrics, and the end of the log."""

import csv
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import Consumer, TopicPartition

from tests.benchmarks.figures import cpu_of, scrape, total
from tests.benchmarks.load import PARTITIONS
from tests.system.fleet import Worker

EVERY = 5.0  # seconds


class Sample(NamedTuple):
    seconds: float  # since the first
    rss: int  # bytes
    anonymous: int  # bytes of it that are the process's own
    threads: int
    files: int  # open descriptors
    produced: int  # records in the log since it began
    taken: int  # records that the worker took from it
    archived: int  # records that it committed
    lag: int  # records not fetched
    buffered: int  # bytes
    dropped: int  # records
    cpu: float  # seconds so far

    @property
    def behind(self) -> int:
        """Records in the log, not in the ledger."""
        return self.produced - self.archived


class LogEnds:
    """How many records a topic has been given since this was made, by its log's ends."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": f"ends-of-{topic}"})
        self._topic = topic
        self.at_first = 0
        self.at_first = self.total()

    def total(self) -> int:
        ends = 0
        for partition in range(PARTITIONS):
            found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=30)
            assert found is not None, "the broker does not say where the log ends"
            ends += found[1]
        return ends - self.at_first

    def close(self) -> None:
        self._consumer.close()


def take(worker: Worker, ends: LogEnds, began: float) -> Sample:
    pid = Path(f"/proc/{worker.process.pid}")
    memory = _figures((pid / "smaps_rollup").read_text())
    produced = ends.total()
    metrics = scrape(worker)

    def told(name: str) -> int:
        return int(total(metrics, name))

    return Sample(
        round(time.monotonic() - began, 2),
        memory["Rss"] * 1024,
        memory["Anonymous"] * 1024,
        _figures((pid / "status").read_text())["Threads"],
        len(list((pid / "fd").iterdir())),
        produced,
        told("strongroom_records_in_total"),
        told("strongroom_records_total"),
        told("strongroom_lag_records"),
        told("strongroom_buffered_bytes"),
        told("strongroom_records_dropped_total"),
        cpu_of(worker.process.pid),
    )


def watch(worker: Worker, ends: LogEnds, until: Callable[[], bool], file: Path) -> list[Sample]:
    """Samples until `until`; each is in `file`, as CSV, at once."""
    samples: list[Sample] = []
    began = due = time.monotonic()
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(Sample._fields)
        while not until():
            assert worker.process.poll() is None, worker.log()
            samples.append(take(worker, ends, began))
            rows.writerow(samples[-1])
            out.flush()
            due += EVERY
            time.sleep(max(0.0, due - time.monotonic()))
    return samples


def _figures(text: str) -> dict[str, int]:
    """`Name:   number …` of /proc."""
    return {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE)}
