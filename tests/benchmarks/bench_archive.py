"""The main job against its floor, in one run: records/s, CPU µs a record, RSS; and is each record there once?

The floor does what nobody can do without, in one Python loop: librdkafka consumes, msgspec decodes the key,
zstd-1 and AES-256-GCM seal the same number of objects, the worker's own PUT path stores them. The worker is
`strongroom worker archive`, a process of its own; its CPU is user + system of all of it, from start to exit.

    python -m tests.benchmarks.bench_archive [RECORDS]
"""

import asyncio
import json
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard
from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # aiokafka ships no types
from confluent_kafka import Consumer, Producer, TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from tests.stack import ladder
from tests.stack.kafka import Kafka, kafka_on
from tests.stack.s3 import ACCESS_KEY, REGION, S3, SECRET_KEY, s3_on
from tests.stack.secured import SecuredKafka
from tests.system.fleet import COMMAND, Fleet, Worker
from topics.workspaces import Source, SourceType
from workers.by import By
from workers.cli import running
from workers.cli.policy import open_policy
from workers.ledger.policy_commands import add_key, set_workspace
from workers.ledger.standing import standings
from workers.sample.load import load_keys, records
from workers.settings import Settings
from workers.store.port import IF_ABSENT
from workers.store.s3 import open_s3

PARTITIONS = 8
KEYS = 200
SIZE = 760  # bytes a record
FLUSH_BYTES = 64 * 1024 * 1024
WITHIN = 1800.0  # seconds for all of it
LOOK = 0.5  # seconds between two looks at the worker's metrics, which cost it CPU


class Cost(NamedTuple):
    seconds: float
    cpu: float  # seconds
    rss: int  # bytes, the highest


class Head(msgspec.Struct):
    write_key: str = msgspec.field(name="writeKey")


def main(count: int) -> None:
    with stack() as (bootstrap, s3), tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(
            Path(folder),
            bootstrap,
            s3.endpoint,
            s3.bucket(),
            f"b{uuid.uuid4().hex[:8]}-",
            partitions=PARTITIONS,
        )
        fleet.create()
        set_up(fleet)
        ends = fill(fleet, count)
        print(f"{count:,} records of {SIZE} bytes, {KEYS} keys, {PARTITIONS} partitions; {ladder.said()}")
        floor = in_child(fleet, s3.bucket(), count)
        print(line("floor", floor, count))
        worker = archive(fleet, ends, count)
        print(line("worker", worker, count))
        print(
            f"worker / floor: {worker.cpu / floor.cpu:.2f}x CPU, {worker.seconds / floor.seconds:.2f}x time"
        )
        read_back(fleet, count)


def line(name: str, cost: Cost, count: int) -> str:
    return (
        f"{name:7} {count / cost.seconds:>10,.0f} records/s  {cost.cpu / count * 1e6:6.2f} CPU µs/record  "
        f"{cost.rss / 2**20:6.0f} MiB RSS  {cost.seconds:6.1f} s"
    )


@contextmanager
def stack() -> Iterator[tuple[str, S3]]:
    """The servers by Kafka's address."""
    with servers() as (kafka, s3):
        yield kafka.bootstrap, s3


@contextmanager
def servers() -> Iterator[tuple[Kafka, S3]]:
    kafka, s3 = kafka_on(ladder.kafka()), s3_on(ladder.s3())
    with started(kafka, s3):
        yield kafka, s3


@contextmanager
def started(kafka: Kafka | SecuredKafka, s3: S3) -> Iterator[None]:
    """The servers at work, with S3's credentials in the environment; closed at the end."""
    # what is installed is compiled, as the image's is: else each start of a worker would compile 250 files
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    try:
        kafka.start()
        s3.start()
        yield
    finally:
        s3.close()
        kafka.close()


def set_up(fleet: Fleet) -> None:
    """20 workspaces of 10 sources, a key each."""
    os.environ.update(fleet.environment())
    asyncio.run(_set_up())


async def _set_up() -> None:
    by = By("bench", "bench", "bench", now=time.time_ns() // 1_000_000)
    sources = tuple(Source(id=f"s{number}", type=SourceType.SERVER) for number in range(10))
    async with open_policy(Settings.load()) as books:
        for workspace in range(20):
            await set_workspace(books, f"w{workspace}", lambda w: replace(w, sources=sources), by)
        for number, key in enumerate(load_keys(KEYS)):
            await add_key(books, key, f"w{number % 20}", f"s{number // 20}", by)


def fill(fleet: Fleet, count: int) -> dict[int, int]:
    return produce(fleet, records(1, count, KEYS, SIZE))


def produce(fleet: Fleet, pairs: Iterable[tuple[bytes, bytes]]) -> dict[int, int]:
    """Sends (key, value) pairs, each where Kafka's own clients put its key; the ends of the log then."""
    places: dict[bytes, int] = {}

    def place(key: bytes) -> int:
        found = places.get(key)
        if found is None:
            found = places[key] = (murmur2(key) & 0x7FFFFFFF) % PARTITIONS
        return found

    return send(fleet, ((place(key), key, value) for key, value in pairs))


def send(fleet: Fleet, placed: Iterable[tuple[int, bytes, bytes]]) -> dict[int, int]:
    """Sends (partition, key, value); the ends of the log then."""
    ends: Counter[int] = Counter()
    producer = Producer(
        {
            "bootstrap.servers": fleet.bootstrap,
            "acks": "all",
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    topic = f"{fleet.prefix}raw-events"
    for partition, key, value in placed:
        while True:
            try:
                producer.produce(topic, value, key, partition)
                break
            except BufferError:
                producer.poll(0.5)
        ends[partition] += 1
    assert producer.flush(300) == 0
    return dict(ends)


def in_child(fleet: Fleet, bucket: str, count: int) -> Cost:
    """The floor in a process of its own, so that its CPU and memory are its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.bench_archive", "--floor", fleet.bootstrap,
         f"{fleet.prefix}raw-events", fleet.endpoint, bucket, str(count)],
        stdout=subprocess.PIPE,
        check=True,
    )  # fmt: skip
    return Cost(**json.loads(done.stdout))


async def floor(bootstrap: str, topic: str, endpoint: str, bucket: str, count: int) -> Cost:
    store = await open_s3(bucket, endpoint=endpoint, region="us-east-1")
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    decode, compress = msgspec.json.Decoder(Head).decode, zstandard.ZstdCompressor(level=1).compress
    began, cpu = time.perf_counter(), time.process_time()
    groups: dict[int, dict[str, list[bytes]]] = {partition: {} for partition in range(PARTITIONS)}
    held: Counter[int] = Counter()
    seen = 0

    async def flush(partition: int) -> None:
        places = asyncio.Semaphore(16)

        async def put(lines: list[bytes]) -> None:
            async with places:
                key = AESGCM(secrets.token_bytes(32))
                sealed = key.encrypt(b"\x01" * 12, compress(b"\n".join((*lines, b""))), None)
                await store.put(f"floor/{uuid.uuid4().hex}", sealed, condition=IF_ABSENT)

        await asyncio.gather(*map(put, groups[partition].values()))
        groups[partition].clear()
        held[partition] = 0

    while seen < count:
        for message in consumer.consume(1000, 1.0):
            value, partition = message.value(), message.partition()
            assert value is not None
            assert partition is not None
            groups[partition].setdefault(decode(value).write_key, []).append(value)
            held[partition] += len(value)
            seen += 1
        for partition in range(PARTITIONS):
            if held[partition] >= FLUSH_BYTES or (seen == count and held[partition]):
                await flush(partition)
    cost = Cost(time.perf_counter() - began, time.process_time() - cpu, max_rss(resource.RUSAGE_SELF))
    consumer.close()
    await store.close()
    return cost


def archive(fleet: Fleet, ends: dict[int, int], count: int, flush_bytes: int = FLUSH_BYTES) -> Cost:
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


def read_back(fleet: Fleet, count: int) -> None:
    """Every record once, by its messageId, through `strongroom read`; then `verify`."""
    seen = bytearray(count)
    for workspace in range(20):
        reading = subprocess.Popen(
            [COMMAND, "read", "--workspace", f"w{workspace}", "--unwrap"],
            env=fleet.environment(),
            stdout=subprocess.PIPE,
        )
        assert reading.stdout is not None
        for event in reading.stdout:
            seen[int(json.loads(event)["messageId"][-12:], 16)] += 1
        assert reading.wait() == 0
    times = Counter(seen)
    report = fleet.json("verify")
    print(
        f"read back: {times[1]:,} once, {times[0]:,} never, {count - times[0] - times[1]:,} more often; "
        f"dispositions {report['records']}; verify {'clean' if report['clean'] else report['findings']}"
    )
    if times != {1: count} or not report["clean"] or report["offsets"] != count:
        sys.exit("records were lost or doubled")


def max_rss(who: int) -> int:
    return resource.getrusage(who).ru_maxrss * 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--floor", bootstrap, topic, endpoint, bucket, count]:
            print(json.dumps(asyncio.run(floor(bootstrap, topic, endpoint, bucket, int(count)))._asdict()))
        case [count]:
            main(int(count))
        case _:
            main(1_000_000)
