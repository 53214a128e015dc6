"""What happened lately on a topic: from a time on, to its end or for as long as somebody looks."""

import asyncio
import time

import pytest

from tests.integration.stream.conftest import Log
from workers.errors import Fatal
from workers.stream.connection import KafkaConnection
from workers.stream.publish import Publisher
from workers.stream.recent import read_since


async def test_from_a_time_on_to_the_end_and_further(log: Log) -> None:
    connection = KafkaConnection(log.bootstrap)
    publisher = Publisher(connection)
    await publisher.start()
    try:
        for n in range(20):
            await publisher.send(log.topic, b"k%d" % n, b"old%d" % n)
        await publisher.flush()
        await asyncio.sleep(0.02)
        since = time.time_ns() // 1_000_000
        await asyncio.sleep(0.02)
        for n in range(20):
            await publisher.send(log.topic, b"k%d" % n, b"new%d" % n)
        await publisher.send_and_wait(log.topic, b"k1", None)  # a tombstone has no value to show

        async def values(since: int) -> list[bytes]:
            return [
                value
                async for part in read_since(connection, log.topic, since, follow=False)
                for value in part
            ]

        assert sorted(await values(since)) == sorted(b"new%d" % n for n in range(20))
        assert len(await values(0)) == 40
        assert await values(since + 3_600_000) == []

        found: list[bytes] = []
        async with asyncio.timeout(20):
            async for part in read_since(connection, log.topic, since, follow=True):
                found += part
                if len(found) == 20 and b"later" not in found:
                    await publisher.send_and_wait(log.topic, b"k7", b"later")
                if b"later" in found:
                    break
        assert len(found) == 21
    finally:
        await publisher.stop()


async def test_a_missing_topic_is_named(log: Log) -> None:
    with pytest.raises(Fatal, match="no-such-topic"):
        async for _ in read_since(KafkaConnection(log.bootstrap), "no-such-topic", 0, follow=False):
            pass
