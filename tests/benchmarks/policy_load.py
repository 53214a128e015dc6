"""Load for the benchmarks of policy, as fast as it is allowed to: a process of its own, told what by stdin.

    python -m tests.benchmarks.policy_load BOOTSTRAP TOPIC PARTITIONS PROBE_EVERY JOURNAL

Most records are of the keys of `load_keys(KEYS)`, spread evenly over the partitions. Every PROBE_EVERY-th is
a probe: of one of the keys that it was told, at random, half of them of the few that it was told to watch; on
a partition at random. A line of stdin is JSON: `{"allow": N}` to send up to N records in all, `{"keys": […]}`
and `{"watched": […]}` to change those. At the end of stdin it flushes, writes the journal (a row an
acknowledged probe, see Probe; times by the broker) and prints how many records there were.
"""

import csv
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer

from tests.benchmarks.load import KEYS, SIZE
from workers.sample.load import load_keys, records

FOREVER = sys.maxsize
TURN = 50  # records between two looks at what was told
TEMPLATE_KEY = load_keys(1)[0].encode()


class Probe(NamedTuple):
    """An acknowledged record of a key that is watched. Its messageId ends in `number`, as 12 hex digits."""

    number: int
    key: str
    partition: int
    offset: int
    appended: int  # ms since the epoch
    sent: int  # ms


class Told:
    """What came by stdin so far."""

    def __init__(self) -> None:
        self.allowed = 0
        self.keys: list[str] = []
        self.watched: list[str] = []
        self.over = False

    def listen(self) -> None:
        for line in sys.stdin:
            match json.loads(line):
                case {"allow": int(allowed)}:
                    self.allowed = allowed
                case {"keys": list(keys)}:
                    self.keys = keys
                case {"watched": list(watched)}:
                    self.watched = watched
        self.over = True


class Probes:
    """Makes probes, and keeps a journal of those that the broker has acknowledged."""

    def __init__(self, send: Callable[..., None], partitions: int) -> None:
        self._send = send
        self._partitions = partitions
        self._random = Random(1)
        self._values = records(7, FOREVER, keys=1, size=SIZE)
        self._number = 0
        self.journal: list[Probe] = []

    def one(self, told: Told) -> None:
        watched = told.watched if told.watched and self._number % 2 else told.keys
        key = watched[self._random.randrange(len(watched))]
        value = next(self._values)[1].replace(TEMPLATE_KEY, key.encode())
        acknowledged = partial(self._acknowledged, self._number, key, time.time_ns() // 1_000_000)
        self._send(value, key.encode(), self._random.randrange(self._partitions), acknowledged)
        self._number += 1

    def _acknowledged(self, number: int, key: str, sent: int, error: Any, message: Any) -> None:
        if error is not None:
            sys.exit(f"a record was not acknowledged: {error}")
        kind, appended = message.timestamp()
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            sys.exit("the broker does not say when it appended a record")
        self.journal.append(Probe(number, key, message.partition(), message.offset(), appended, sent))


def read(journal: Path) -> Iterator[Probe]:
    with journal.open(newline="") as rows:
        for number, key, partition, offset, appended, sent in csv.reader(rows):
            yield Probe(int(number), key, int(partition), int(offset), int(appended), int(sent))


def main(bootstrap: str, topic: str, partitions: int, probe_every: int, journal: Path) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 10,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 100_000,
        }
    )

    def send(value: bytes, key: bytes, partition: int, on_delivery: Callable[[Any, Any], None]) -> None:
        while True:
            try:
                producer.produce(topic, value, key, partition, on_delivery=on_delivery)
                return
            except BufferError:
                producer.poll(0.1)

    def delivered(error: Any, _: Any) -> None:
        if error is not None:
            sys.exit(f"a record was not acknowledged: {error}")

    told, probes = Told(), Probes(send, partitions)
    threading.Thread(target=told.listen, daemon=True).start()
    load = enumerate(records(1, FOREVER, KEYS, SIZE))
    count = 0
    while not told.over:
        producer.poll(0 if count < told.allowed else 0.005)
        for _ in range(max(0, min(TURN, told.allowed - count))):
            if count % probe_every == 0 and told.keys:
                probes.one(told)
            else:
                number, (key, value) = next(load)
                send(value, key, number % partitions, delivered)
            count += 1
    if left := producer.flush(120):
        sys.exit(f"{left} records were not acknowledged")
    with journal.open("w", newline="") as rows:
        csv.writer(rows).writerows(probes.journal)
    print(count)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
