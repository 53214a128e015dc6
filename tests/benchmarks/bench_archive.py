"""The main job against its floor, in one run: records/s, CPU µs a record, RSS; and is each record there once?

The floor does what nobody can do without, in one Python loop: librdkafka consumes, msgspec decodes the key,
zstd-1 and AES-256-GCM seal the same number of objects, the worker's own PUT path stores them. The worker is
`strongroom worker archive`, a process of its own; its CPU is user + system of all of it, from start to exit.

    python -m tests.benchmarks.bench_archive [RECORDS]
"""

import asyncio
import json
import resource
import secrets
import subprocess
import sys
import time
import uuid
from collections import Counter

import msgspec
import zstandard
from confluent_kafka import Consumer, TopicPartition
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.benchmarks.costs import FLUSH_BYTES, Cost, archive, line, max_rss
from tests.benchmarks.load import KEYS, PARTITIONS, SIZE, fill, set_up
from tests.benchmarks.turns import own_fleet, stack
from tests.stack import ladder
from tests.system.fleet import COMMAND, Fleet
from workers.store.port import IF_ABSENT
from workers.store.s3 import open_s3


class Head(msgspec.Struct):
    write_key: str = msgspec.field(name="writeKey")


def main(count: int) -> None:
    with stack() as (bootstrap, s3), own_fleet(bootstrap, s3) as fleet:
        set_up(fleet)
        fill(fleet, count)
        print(f"{count:,} records of {SIZE} bytes, {KEYS} keys, {PARTITIONS} partitions; {ladder.said()}")
        floor = in_child(fleet, s3.bucket(), count)
        print(line("floor", floor, count))
        worker = archive(fleet, count)
        print(line("worker", worker, count))
        print(
            f"worker / floor: {worker.cpu / floor.cpu:.2f}x CPU, {worker.seconds / floor.seconds:.2f}x time"
        )
        read_back(fleet, count)


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


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--floor", bootstrap, topic, endpoint, bucket, count]:
            print(json.dumps(asyncio.run(floor(bootstrap, topic, endpoint, bucket, int(count)))._asdict()))
        case [count]:
            main(int(count))
        case _:
            main(1_000_000)
