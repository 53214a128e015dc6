"""What most benchmarks send: records of 760 bytes with 200 keys of 20 workspaces, on 8 partitions."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator

from aiokafka.partitioner import murmur2  # type: ignore[import-untyped]  # aiokafka ships no types
from confluent_kafka import Producer
from msgspec.structs import replace

from tests.system.fleet import Fleet
from topics import raw_events
from topics.workspaces import Source, SourceType
from workers.by import By
from workers.cli.policy import open_policy
from workers.ledger.policy_commands import add_key, set_workspace
from workers.sample.load import load_keys, records
from workers.settings import Settings

PARTITIONS = 8
KEYS = 200
SIZE = 760  # bytes a record


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


def fill(fleet: Fleet, count: int) -> None:
    produce(fleet, records(1, count, KEYS, SIZE))


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

    def counted() -> Iterator[tuple[bytes, bytes, int]]:
        for partition, key, value in placed:
            ends[partition] += 1
            yield key, value, partition

    deliver(fleet, raw_events.NAME, counted())
    return dict(ends)


def deliver(
    fleet: Fleet, topic: str, messages: Iterable[tuple[bytes, bytes, int]], **settings: object
) -> None:
    """Sends (key, value, partition), -1 for where the client puts that key. All are taken, or it fails."""
    refused: list[str] = []

    def told(error: object, _: object) -> None:
        if error is not None:
            refused.append(str(error))

    producer = Producer(
        {
            "bootstrap.servers": fleet.bootstrap,
            "acks": "all",
            "linger.ms": 50,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
            **settings,
        }
    )
    for key, value, partition in messages:
        while True:
            try:
                producer.produce(fleet.prefix + topic, value, key, partition, on_delivery=told)
                break
            except BufferError:
                producer.poll(0.5)
        producer.poll(0)
    assert producer.flush(300) == 0
    assert not refused, f"{len(refused)} were not taken: {refused[0]}"
