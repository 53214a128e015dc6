"""CPU a record of the bare transport against librdkafka's, both reading the same log in one run.

    python -m tests.benchmarks.bench_transport [--records 400000] [--partitions 4] [--bootstrap HOST:PORT]

Records of 770 bytes, lz4, on the test stack's broker unless another is named. Each reader is a process of its
own: user and system time of all of it, from the first record to the last, so that starting does not count.
"""

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping

from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # stubs miss it

from tests.stack import ladder
from tests.stack.kafka import kafka_on
from workers.stream.archive import ArchiveStream, StreamOptions
from workers.stream.chunk import Chunk
from workers.stream.connection import KafkaConnection

RECORD_BYTES = 770
WITHIN = 120.0


class Meter:
    """CPU and wall time from the first record to the last."""

    def __init__(self, records: int) -> None:
        self.missing = records
        self.records = 0  # after the first delivery, which the clock starts with
        self.began: tuple[float, float] | None = None
        self.told: dict[str, float] = {}

    def saw(self, records: int) -> bool:
        """True at the last one."""
        if self.began is None:
            self.began = (cpu(), time.perf_counter())
        else:
            self.records += records
        self.missing -= records
        if self.missing:
            return False
        used, wall = cpu() - self.began[0], time.perf_counter() - self.began[1]
        self.told = {
            "cpu_us": used / self.records * 1e6,
            "records_s": self.records / wall,
            "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        return True


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Counting:
    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self.done = asyncio.Event()

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        return dict.fromkeys(partitions, 0)

    async def revoked(self, partitions: frozenset[int]) -> None: ...

    async def take(self, chunk: Chunk) -> None:
        if self.meter.saw(chunk.records):
            self.done.set()

    async def drain(self) -> None: ...


async def transport(bootstrap: str, topic: str, meter: Meter) -> None:
    owner = Counting(meter)
    stream = ArchiveStream(KafkaConnection(bootstrap), topic, uuid.uuid4().hex, owner, StreamOptions())
    run = asyncio.create_task(stream.run())
    async with asyncio.timeout(WITHIN):
        await owner.done.wait()
    await stream.stop()
    await run


def librdkafka(bootstrap: str, topic: str, meter: Meter) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": uuid.uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([topic])
    while True:
        messages = consumer.consume(2000, timeout=WITHIN)
        for message in messages:
            message.value()  # as the other hands out records, not messages to be opened
        if messages and meter.saw(len(messages)):
            break
    consumer.close()


def fill(bootstrap: str, topic: str, records: int, partitions: int) -> None:
    """Half of a record is random, so that lz4 finds what it finds in events: about a half."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(WITHIN)
    chance = random.Random(1)
    values = [chance.randbytes(RECORD_BYTES // 2) + b'{"event":"x"}' * 99 for _ in range(500)]
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "lz4", "linger.ms": 20})
    for n in range(records):
        producer.produce(topic, values[n % 500][:RECORD_BYTES], partition=n % partitions)
        if n % 1000 == 0:
            producer.poll(0)
            while len(producer) > 50_000:
                producer.poll(0.05)
    assert producer.flush(WITHIN) == 0


def measured(reader: str, bootstrap: str, topic: str, records: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_transport", "--bootstrap", bootstrap]
    command += ["--reader", reader, "--topic", topic, "--records", str(records)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(
        f"{reader:>10}: {told['cpu_us']:5.2f} µs CPU a record, {told['records_s']:9,.0f} records/s, "
        f"RSS {told['rss_mb']:.0f} MB",
        flush=True,
    )
    return told


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bootstrap")
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reader", choices=["transport", "librdkafka"], help=argparse.SUPPRESS)
    parser.add_argument("--topic", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.reader:
        meter = Meter(asked.records)
        if asked.reader == "transport":
            asyncio.run(transport(asked.bootstrap, asked.topic, meter))
        else:
            librdkafka(asked.bootstrap, asked.topic, meter)
        print(json.dumps(meter.told))
        return
    if asked.bootstrap:
        compare(asked.bootstrap, asked.records, asked.partitions, asked.rounds)
        return
    broker = kafka_on(ladder.kafka())
    try:
        broker.start()
        compare(broker.bootstrap, asked.records, asked.partitions, asked.rounds)
    finally:
        broker.close()


def compare(bootstrap: str, records: int, partitions: int, rounds: int) -> None:
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    fill(bootstrap, topic, records, partitions)
    best: dict[str, float] = {}
    for _ in range(rounds):
        for reader in ("librdkafka", "transport"):
            told = measured(reader, bootstrap, topic, records)
            best[reader] = min(best.get(reader, told["cpu_us"]), told["cpu_us"])
    print(f"best of {rounds}: transport / librdkafka = {best['transport'] / best['librdkafka']:.2f}")


if __name__ == "__main__":
    main()
