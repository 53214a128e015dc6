"""Sends so many records at so many a second, in a process of its own; behind its time-table it catches up.

python -m tests.benchmarks.soak_producer BOOTSTRAP TOPIC RATE COUNT
"""

import sys
import time

from confluent_kafka import Producer

from tests.benchmarks.load import KEYS, PARTITIONS, SIZE
from workers.sample.load import records

SLICE = 0.05  # seconds of records between two looks at the clock


def main(bootstrap: str, topic: str, rate: int, count: int) -> None:
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    a_slice = max(1, int(rate * SLICE))
    began = time.monotonic()
    for number, (key, value) in enumerate(records(2, count, KEYS, SIZE)):
        if number % a_slice == 0:
            producer.poll(0)
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
        while True:
            try:
                producer.produce(topic, value, key, number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.5)
    if left := producer.flush(300):
        sys.exit(f"{left} records were not acknowledged")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
