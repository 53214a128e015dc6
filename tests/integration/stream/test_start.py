"""A partition starts where its owner says, whatever the group's offsets say, or not at all."""

import asyncio
import threading
from collections.abc import Mapping

import pytest

from tests.integration.stream.conftest import Log
from tests.integration.stream.recorder import QUICK, Ledger, Recorder, running, until
from workers.errors import Fatal, Retryable
from workers.stream.app import CHUNK_RECORDS
from workers.stream.archive import ArchiveStream
from workers.stream.connection import KafkaConnection

HEADS = {0: 0, 1: 3, 2: 10, 3: 7}  # of 10 records each


@pytest.mark.parametrize("offset", [None, 0, 5, 10_000_000])
async def test_starts_at_the_claim_wherever_the_group_is(log: Log, offset: int | None) -> None:
    class Slow(Recorder):
        async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
            await asyncio.sleep(0.7)  # in which anything else that decides would have fetched
            return await super().claim(partitions)

    for partition in HEADS:
        log.produce([b"%d-%d" % (partition, n) for n in range(10)], partition)
    if offset is not None:
        log.commit_group(dict.fromkeys(HEADS, offset))
    owner = Slow(Ledger(HEADS))
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 20, "every record from the heads on")
        log.produce([b"2-10"], 2)
        await until(lambda: b"2-10" in owner.ledger.values, "a partition that was claimed at its end")
        assert stream.assigned
    assert owner.fenced == 0
    for partition, head in HEADS.items():
        values = [value for value in owner.ledger.values if value.startswith(b"%d-" % partition)]
        assert values == [b"%d-%d" % (partition, n) for n in range(head, 11 if partition == 2 else 10)]
        assert owner.spans(partition)[0][0] == head


async def test_a_partition_goes_on_while_another_is_still_being_claimed(log: Log) -> None:
    class Slow(Recorder):
        may_claim = asyncio.Event()

        async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
            if 2 in partitions:
                await self.may_claim.wait()
            return await super().claim(partitions)

    for partition in range(4):
        log.produce([b"x"] * 10, partition)
    owner = Slow()
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 30, "the other partitions")
        assert not stream.assigned
        owner.may_claim.set()
        await until(lambda: owner.ledger.heads.get(2) == 10, "the slow one")
        assert stream.assigned


async def test_a_chunk_is_bounded_however_well_its_records_are_compressed(narrow: Log) -> None:
    narrow.produce([b"x" * 700] * 20_000)  # less than a fetch
    owner = Recorder()
    async with running(narrow.bootstrap, narrow.topic, owner):
        await until(lambda: owner.ledger.heads.get(0) == 20_000, "every record")
    assert owner.fenced == 0
    assert max(chunk.records for chunk in owner.chunks) == CHUNK_RECORDS


async def test_faust_never_commits_and_a_hint_carries_metadata(log: Log) -> None:
    log.produce([b"x"] * 50, 1)
    owner = Recorder()
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: owner.ledger.heads.get(1) == 50, "all records")
        await asyncio.sleep(1.5)  # Faust's commit interval is a second
        assert log.group_offsets() == {}
        assert await stream.hints([0, 1]) == {}
        assert await stream.commit_hint({1: (42, "entry 17 é")})
        assert await stream.hints([0, 1]) == {1: (42, "entry 17 é")}
        assert log.group_offsets() == {1: 42}
        log.produce([b"x"], 1)
        await until(lambda: owner.ledger.heads[1] == 51, "another record")
    assert log.group_offsets() == {1: 42}  # a clean stop commits nothing either


async def test_a_halted_partition_stays_while_the_others_go_on(log: Log) -> None:
    for partition in range(4):
        log.produce([b"x"] * 10, partition)
    owner = Recorder(halt=frozenset({2}))
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 30, "the other partitions")
        log.produce([b"x"] * 10, 3)
        await until(lambda: len(owner.ledger.values) == 40, "more of another partition")
        await asyncio.sleep(0.5)
        assert stream.halted == {2}
        assert stream.lag().keys() == {0, 1, 3}
        await stream.halt([0, 2])
        for partition in (0, 1):
            log.produce([b"x"] * 10, partition)
        await until(lambda: len(owner.ledger.values) == 50, "more of a partition that is not halted")
        await asyncio.sleep(0.5)
        assert stream.halted == {0, 2}
        assert stream.lag().keys() == {1, 3}
        assert stream.assigned
    assert owner.spans(2) == []
    assert owner.ledger.heads[0] == 10


async def test_a_partition_claimed_anew_is_read_again_from_there(log: Log) -> None:
    for partition in (0, 1):
        log.produce([b"x"] * 10, partition)
    owner = Recorder()
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 20, "both partitions")
        owner.ledger.heads[0] = 4  # as if another writer had been first, and only so far
        await stream.reclaim([0])
        log.produce([b"y"] * 5, 0)
        await until(lambda: owner.ledger.heads[0] == 15, "the rest of the partition, and more")
        assert [chunk.start for chunk in owner.chunks if chunk.partition == 0].count(4) == 1
        owner.halt = frozenset({1})
        await stream.reclaim([1])
        log.produce([b"y"] * 5, 1)
        log.produce([b"y"] * 5, 0)
        await until(lambda: owner.ledger.heads[0] == 20, "the partition that was not halted")
        assert stream.halted == {1}
        assert owner.ledger.heads[1] == 10


async def test_a_partition_whose_log_was_cut_under_the_reader_is_claimed_anew(log: Log) -> None:
    """Reset is `none`: no silent jump to the log's start. The Owner halts it, and the others go on."""
    cut = asyncio.Event()

    class Slow(Recorder):
        async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
            if owner.claims.count(frozenset({0})) == 1:
                owner.halt = frozenset({0})  # asked a second time
            found = await super().claim(partitions)
            await cut.wait()
            return found

    owner = Slow()
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: frozenset({0}) in owner.claims, "a claim")
        log.produce([b"x"] * 100)
        log.cut_before(50)
        cut.set()
        await until(lambda: stream.halted == {0}, "a second claim, which halts")
        log.produce([b"other"], partition=1)
        await until(lambda: owner.ledger.values, "a record of another partition")
        assert {chunk.partition for chunk in owner.chunks} == {1}
        assert 0 not in stream.lag()


async def test_a_topic_made_anew_under_the_reader_ends_the_stream(narrow: Log) -> None:
    """Here its offsets fit the new log as well as the old one."""
    owner = Recorder()
    stream = ArchiveStream(KafkaConnection(narrow.bootstrap), narrow.topic, narrow.group, owner, QUICK)
    run = asyncio.create_task(stream.run())
    await until(lambda: stream.assigned, "an assignment")
    await asyncio.to_thread(narrow.make_anew)
    with pytest.raises(Fatal, match=f"{narrow.topic} was deleted and made anew"):
        await asyncio.wait_for(run, 20)


async def test_a_consumer_thread_that_hangs_hangs_nobody_else(
    narrow: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.stream.consumer_thread.TURN_TIMEOUT", 0.5)
    owner = Recorder()
    released = threading.Event()
    async with running(narrow.bootstrap, narrow.topic, owner) as stream:
        await until(lambda: stream.assigned, "an assignment")
        assert await stream.commit_hint({0: (1, "")})
        assert stream.turned() < 3
        stream._thread.thread_loop.call_soon_threadsafe(released.wait, 10.0)
        try:
            async with asyncio.timeout(5):
                assert not await stream.commit_hint({0: (2, "")})
                assert await stream.hints([0]) == {}
                await until(lambda: stream.turned() > 3, "that it does not turn")
            assert stream.lag() == {0: (0, 0)}
        finally:
            released.set()
        await until(lambda: stream.turned() < 2, "that it turns again")
        narrow.produce([b"x"])
        await until(lambda: owner.ledger.heads.get(0) == 1, "a record")
    assert not await stream.commit_hint({0: (3, "")})  # the thread is gone
    assert await stream.hints([0]) == {}


async def test_a_missing_topic_and_an_absent_broker_are_named(narrow: Log) -> None:
    for bootstrap, topic, error in (
        (narrow.bootstrap, "no-such-topic", Fatal),
        ("127.0.0.1:1", narrow.topic, Retryable),
    ):
        stream = ArchiveStream(KafkaConnection(bootstrap), topic, "g", Recorder())
        with pytest.raises(error) as raised:
            await stream.run()
        assert (topic if error is Fatal else bootstrap) in str(raised.value)
        assert raised.value.remedy
