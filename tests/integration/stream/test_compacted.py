"""A reader without a group: loads whole, follows within milliseconds, and knows how old its copy is."""

import asyncio
import time
from collections.abc import AsyncIterator, Set
from contextlib import asynccontextmanager

import pytest

from tests.integration.stream.conftest import Log
from tests.integration.stream.recorder import Recorder, running, until
from tests.stack.kafka import Kafka
from workers.errors import Fatal
from workers.stream.compacted import CompactedReader
from workers.stream.connection import KafkaConnection
from workers.stream.publish import Publisher


class Copy:
    def __init__(self) -> None:
        self.values: dict[bytes | None, bytes | None] = {}
        self.retained: list[Set[bytes]] = []

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        self.values[key] = value

    def retain(self, keys: Set[bytes]) -> None:
        self.retained.append(keys)


@asynccontextmanager
async def reading(log: Log, copy: Copy) -> AsyncIterator[CompactedReader]:
    reader = CompactedReader(
        KafkaConnection(log.bootstrap, request_timeout=3.0), log.topic, copy.apply, retain=copy.retain
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


@asynccontextmanager
async def publishing(log: Log) -> AsyncIterator[Publisher]:
    publisher = Publisher(KafkaConnection(log.bootstrap))
    await publisher.start()
    try:
        yield publisher
    finally:
        await publisher.stop()


async def test_loads_to_the_end_before_start_returns(log: Log) -> None:
    async with publishing(log) as publisher:
        for n in range(5000):
            await publisher.send(log.topic, b"k%d" % (n % 700), b"v%d" % n)
        await publisher.flush()
        await publisher.send_and_wait(log.topic, b"k3", None)
    copy = Copy()
    async with reading(log, copy) as reader:
        assert len(copy.values) == 700
        assert copy.values[b"k4"] == b"v4904"
        assert copy.values[b"k3"] is None
        assert sum(reader.version) == 5001 - 4
        assert reader.age() < 2


async def test_an_empty_topic_is_loaded(log: Log) -> None:
    copy = Copy()
    async with reading(log, copy) as reader:
        assert (reader.version, copy.values) == ([-1, -1, -1, -1], {})


async def test_follows_within_milliseconds_and_stays_young(log: Log) -> None:
    copy = Copy()
    delays: list[float] = []
    ages: list[float] = []
    async with reading(log, copy) as reader, publishing(log) as publisher:
        for n in range(60):
            sent = await publisher.send_and_wait(log.topic, b"key", b"%d" % n)
            acknowledged = time.monotonic()
            while copy.values.get(b"key") != b"%d" % n:  # noqa: ASYNC110  # `apply` is a plain function
                await asyncio.sleep(0.001)
            delays.append(time.monotonic() - acknowledged)
            assert reader.version[sent.partition] == sent.offset
            ages.append(reader.age())
            await asyncio.sleep(0.03)
        log.transactional("hung").begin_transaction()
    assert sorted(delays)[54] < 0.1
    assert max(ages) < 2.5


async def test_reloads_when_the_topic_was_made_anew(narrow: Log) -> None:
    narrow.produce([b"old"] * 3, key=b"gone")
    copy = Copy()
    async with reading(narrow, copy) as reader:
        await asyncio.to_thread(narrow.make_anew)
        narrow.produce([b"new"] * 9, key=b"kept")  # more than there were: offsets alone would not tell
        await until(lambda: reader.version == [8] and copy.retained, "the reload")
        assert reader.age() < 5
    assert copy.values[b"kept"] == b"new"
    assert copy.retained == [{b"kept"}]


async def test_new_partitions_are_read_too(narrow: Log) -> None:
    copy = Copy()
    async with reading(narrow, copy) as reader:
        narrow.produce([b"0"], key=b"a")
        narrow.grow(2)
        await until(lambda: len(reader.version) == 2, "the new partition")
        narrow.produce([b"1"], partition=1, key=b"b")
        await until(lambda: copy.values == {b"a": b"0", b"b": b"1"}, "its record")


async def test_a_fault_of_the_reader_is_told(narrow: Log) -> None:
    def fails(key: bytes | None, value: bytes | None) -> None:
        raise ValueError("cannot apply")

    reader = CompactedReader(KafkaConnection(narrow.bootstrap), narrow.topic, fails)
    await reader.start()
    narrow.produce([b"x"])
    with pytest.raises(ValueError, match="cannot apply"):
        await asyncio.wait_for(reader.failure(), 10)
    await reader.stop()
    missing = CompactedReader(KafkaConnection(narrow.bootstrap), "no-such-topic", fails)
    with pytest.raises(Fatal, match="no-such-topic"):
        await missing.start()


async def test_a_broker_restart_ages_the_copy_and_loses_nothing(kafka: Kafka, log: Log) -> None:
    copy, owner = Copy(), Recorder()
    log.produce([b"before"] * 10, key=b"k")
    async with reading(log, copy) as reader, running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 10, "what was there before")
        await asyncio.to_thread(kafka.kill)
        await asyncio.sleep(1.5)
        aged = reader.age()
        assert aged > 1.4
        await asyncio.to_thread(kafka.start)
        await asyncio.to_thread(log.produce, [b"after"] * 10, 0, b"k")
        await until(lambda: len(owner.ledger.values) == 20, "what came after", within=60)
        await until(lambda: copy.values[b"k"] == b"after" and reader.age() < 2, "a young copy", within=30)
        assert stream.assigned
    assert owner.fenced == 0


async def test_a_version_never_runs_ahead_of_what_was_applied(narrow: Log) -> None:
    """Others report it as applied: it may name a record only once `apply` has returned."""
    seen: list[int] = []

    def apply(key: bytes | None, value: bytes | None) -> None:
        seen.extend(reader.version)

    reader = CompactedReader(KafkaConnection(narrow.bootstrap), narrow.topic, apply)
    async with publishing(narrow) as publisher:
        for n in range(300):
            await publisher.send(narrow.topic, b"k", b"%d" % n)
        await publisher.flush()
        await reader.start()
        try:
            for n in range(300, 310):
                await publisher.send_and_wait(narrow.topic, b"k", b"%d" % n)
            async with asyncio.timeout(20):
                while reader.version != [309]:
                    assert reader.version[0] < len(seen)
                    await asyncio.sleep(0)
        finally:
            await reader.stop()
    assert len(seen) == 310
    assert all(version < offset for offset, version in enumerate(seen))
