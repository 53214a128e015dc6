"""A reader without a group: loads whole, follows within milliseconds, and knows how old its copy is."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import asynccontextmanager, contextmanager

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # stubs miss it
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from tests.integration.stream.conftest import Log
from tests.integration.stream.recorder import Recorder, running, until
from tests.stack.fault_proxy import FaultProxy
from tests.stack.kafka import Kafka
from workers.errors import Fatal
from workers.stream.compacted import RELOAD_AFTER, CompactedReader
from workers.stream.connection import KafkaConnection
from workers.stream.log import Extent
from workers.stream.publish import Publisher

SEGMENT_BYTES = 1 << 20  # Kafka's least


class Copy:
    def __init__(self) -> None:
        self.values: dict[bytes | None, bytes | None] = {}
        self.retained: list[Set[bytes]] = []
        self.applied = 0
        self.followed: list[int] = []  # times in ms

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        self.values[key] = value
        self.applied += 1

    def retain(self, keys: Set[bytes]) -> None:
        self.retained.append(keys)


@asynccontextmanager
async def reading(
    log: Log, copy: Copy, *, at: str | None = None, reload_after: float = RELOAD_AFTER
) -> AsyncIterator[CompactedReader]:
    """`at`: by which address it reaches the broker."""
    reader = CompactedReader(
        KafkaConnection(at or log.bootstrap, request_timeout=3.0),
        log.topic,
        copy.apply,
        retain=copy.retain,
        followed=copy.followed.append,
        reload_after=reload_after,
    )
    await reader.start()
    try:
        yield reader
    finally:
        await reader.stop()


@contextmanager
def compacting_at_once(log: Log) -> Iterator[None]:
    """The broker's cleaner looks every 50 ms, for 15 s are its default; and takes what it may."""

    [broker] = map(str, log.admin.list_topics(timeout=30).brokers)

    def set_all(resource: ConfigResource) -> None:
        log.admin.incremental_alter_configs([resource])[resource].result(30)

    def entry(name: str, value: str | None) -> ConfigEntry:
        how = AlterConfigOpType.SET if value is not None else AlterConfigOpType.DELETE
        return ConfigEntry(name, value, incremental_operation=how)

    def cleaner(backoff_ms: str | None) -> None:
        set_all(
            ConfigResource(
                ResourceType.BROKER, broker, incremental_configs=[entry("log.cleaner.backoff.ms", backoff_ms)]
            )
        )

    eager = [entry("min.cleanable.dirty.ratio", "0.01"), entry("min.compaction.lag.ms", "0")]
    set_all(ConfigResource(ResourceType.TOPIC, log.topic, incremental_configs=eager))
    cleaner("50")
    try:
        yield
    finally:
        cleaner(None)


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
        assert copy.followed == []  # history has no delay
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
        assert len(copy.followed) == 60
        assert all(0 <= time.time() * 1000 - at < 60_000 for at in copy.followed)
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


async def test_what_was_compacted_while_it_was_away_is_no_gap_in_the_copy(
    kafka: Kafka, kafka_proxy: FaultProxy, topic_name: str
) -> None:
    """The position that it goes on from then lies among offsets that are no longer there."""
    kafka.create_topic(topic_name, config={"cleanup.policy": "compact", "segment.bytes": str(SEGMENT_BYTES)})
    log, copy = Log(kafka, topic_name), Copy()
    log.produce([b"first"], key=b"k0")
    with compacting_at_once(log):
        async with reading(log, copy, at=kafka_proxy.address) as reader:
            kafka_proxy.stall()
            written = {
                b"k%d" % n: [b"%d." % turn + os.urandom(SEGMENT_BYTES // 8) for turn in range(12)]
                for n in range(3)
            }
            for key, values in written.items():
                await asyncio.to_thread(log.produce, values, 0, key)
            async with asyncio.timeout(60):
                while True:
                    fresh = Copy()
                    async with reading(log, fresh) as second:
                        if fresh.applied <= 37 - 12:
                            assert second.version == [36]
                            break
            kafka_proxy.heal()
            await until(lambda: reader.version == [36] and reader.age() < 2, "the end", within=60)
    assert copy.values == fresh.values == {key: values[-1] for key, values in written.items()}
    assert copy.retained == []  # it went on from where it was


async def test_an_answer_that_it_has_overtaken_is_no_cut_of_the_log(narrow: Log) -> None:
    """A record may be written and applied while the answer about the end before it is under way."""
    copy = Copy()
    async with reading(narrow, copy) as reader:
        ask, overtaken = reader._facts.extent, 0

        async def slowly(topic: str) -> Extent:
            nonlocal overtaken
            extent, before = await ask(topic), reader.version
            await asyncio.to_thread(narrow.produce, [b"x"], 0, b"k")
            await until(lambda: reader.version > before, "the record")
            overtaken += 1
            return extent

        reader._facts.extent = slowly  # type: ignore[assignment]  # its `partitions` is not asked for
        await until(lambda: overtaken > 2, "three answers")
    assert copy.retained == []
    assert copy.applied == len(copy.followed) == reader.version[0] + 1  # each once


async def test_out_of_touch_for_too_long_it_reads_all_anew(kafka_proxy: FaultProxy, narrow: Log) -> None:
    """Deletions may have been compacted away meanwhile."""
    narrow.produce([b"1"], key=b"kept")
    narrow.produce([b"1"], key=b"deleted")
    copy = Copy()
    async with reading(narrow, copy, at=kafka_proxy.address, reload_after=3.0) as reader:
        kafka_proxy.stall()
        narrow.cut_before(2)
        narrow.produce([b"1"], key=b"kept")
        await until(lambda: reader.age() > 4, "the outage")
        assert copy.retained == []
        kafka_proxy.heal()
        await until(lambda: copy.retained and reader.age() < 2, "the reload", within=30)
    assert copy.retained == [{b"kept"}]


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
