"""Members come, go and die: with claims from one ledger nothing is lost and nothing is committed twice."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.consumer.group_coordinator import GroupCoordinator  # type: ignore[import-untyped]  # no types
from aiokafka.errors import GroupAuthorizationFailedError  # type: ignore[import-untyped]  # aiokafka ships no types

from tests.integration.stream.conftest import Log
from tests.integration.stream.recorder import QUICK, Ledger, Recorder, running, until
from workers.errors import Fatal
from workers.stream.archive import ArchiveStream
from workers.stream.chunk import Chunk
from workers.stream.connection import KafkaConnection


async def test_two_members_share_a_topic_and_lose_and_double_nothing(log: Log) -> None:
    ledger = Ledger()
    first, second = Recorder(ledger), Recorder(ledger)
    produced: list[bytes] = []

    async def produce_for(seconds: float) -> None:
        deadline = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < deadline:
            for partition in range(4):
                values = [b"%d" % (len(produced) + n) for n in range(50)]
                produced.extend(values)
                await asyncio.to_thread(log.produce, values, partition)
            await asyncio.sleep(0.02)

    async with running(log.bootstrap, log.topic, first) as one:
        await until(lambda: one.assigned, "the first's assignment")
        producing = asyncio.create_task(produce_for(6.0))
        await asyncio.sleep(1.0)
        async with running(log.bootstrap, log.topic, second) as other:
            await until(lambda: other.assigned and len(second.held) == 2, "the second's share")
            await asyncio.sleep(1.0)
        await until(lambda: len(first.held) == 4, "all partitions back at the first")
        await producing
        await until(lambda: len(ledger.values) == len(produced), "every record")
    assert Counter(ledger.values) == Counter(produced)
    assert len(first.revocations) >= 2
    assert second.chunks
    assert second.drained == 1


async def test_partitions_grown_live_are_claimed(narrow: Log) -> None:
    owner = Recorder()
    async with running(narrow.bootstrap, narrow.topic, owner) as stream:
        await until(lambda: stream.assigned, "an assignment")
        narrow.produce([b"old"] * 10)
        await until(lambda: len(owner.ledger.values) == 10, "the old partition")
        narrow.grow(3)
        for partition in range(3):
            narrow.produce([b"new"] * 10, partition)
        await until(lambda: len(owner.ledger.values) == 40, "all partitions")
        assert owner.held == {0, 1, 2}
    assert owner.fenced == 0


async def test_a_static_member_comes_back_without_moving_a_partition(log: Log) -> None:
    ledger = Ledger()
    stays, leaves, again = Recorder(ledger), Recorder(ledger), Recorder(ledger)
    async with running(log.bootstrap, log.topic, stays, instance_id="worker-0"):
        async with running(log.bootstrap, log.topic, leaves, instance_id="worker-1"):
            await until(lambda: len(stays.held) == len(leaves.held) == 2, "two shares")
        before = len(stays.revocations)
        for partition in range(4):
            log.produce([b"x"] * 10, partition)
        async with running(log.bootstrap, log.topic, again, instance_id="worker-1"):
            await until(lambda: len(ledger.values) == 40, "every record")
            assert again.held == leaves.held
        assert len(stays.revocations) == before


async def test_a_claim_that_waits_keeps_its_place_and_is_cancelled_at_revocation(log: Log) -> None:
    class Patient(Recorder):
        cancelled = 0

        async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
            self.claims.append(partitions)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
            raise AssertionError

    log.produce([b"x"] * 10, 0)
    patient, other = Patient(), Recorder()
    async with running(log.bootstrap, log.topic, patient):
        await until(lambda: patient.claims, "a claim")
        await asyncio.sleep(7.0)  # longer than the session
        assert log.members() == 1
        async with running(log.bootstrap, log.topic, other):
            await until(lambda: len(other.held) == 2, "the other's share")
            assert patient.cancelled == 4
            assert patient.revocations[-1] == {0, 1, 2, 3}
    assert patient.cancelled > 4


async def test_back_pressure_does_not_hold_up_a_rebalance(log: Log) -> None:
    class Full(Recorder):
        """Its buffer is full until partitions are revoked."""

        def __init__(self, ledger: Ledger) -> None:
            super().__init__(ledger)
            self.released = asyncio.Event()

        async def take(self, chunk: Chunk) -> None:
            await self.released.wait()
            await super().take(chunk)

        async def revoked(self, partitions: frozenset[int]) -> None:
            await super().revoked(partitions)
            self.released.set()

    ledger = Ledger()
    for partition in range(4):
        log.produce(
            [b"%d-%d" % (partition, n) + b"x" * 4000 for n in range(1500)], partition
        )  # several fetches
    full, other = Full(ledger), Recorder(ledger)
    async with running(log.bootstrap, log.topic, full) as stream:
        await until(lambda: stream.lag() and min(at for at, _ in stream.lag().values()) > 0, "fetches")
        await asyncio.sleep(0.5)
        async with running(log.bootstrap, log.topic, other):
            await until(lambda: len(other.held) == 2, "the other's share", within=8)
            await until(lambda: len(ledger.values) == 6000, "every record")
    assert len(set(ledger.values)) == 6000
    assert full.chunks


async def test_a_partition_whose_leader_changed_is_claimed_anew(log: Log) -> None:
    owner = Recorder()
    for partition in range(4):
        log.produce([b"x"] * 10, partition)
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 40, "all partitions")
        thread = stream._thread
        await until(lambda: len(thread._leaders) == 4, "a look at the leaders")
        claims, moved = len(owner.claims), TopicPartition(log.topic, 2)
        thread._leaders[moved] = 99  # as if another broker had led it until now
        owner.ledger.heads[2] = 4
        await until(lambda: owner.ledger.heads[2] == 10, "what follows its head again")
        assert owner.claims[claims:] == [frozenset({2})]
        assert thread._leaders[moved] != 99
        assert owner.fenced == 0


async def test_nothing_that_a_new_leader_brings_is_handed_on_before_the_claim(log: Log) -> None:
    """Its log may have been cut below our position, and have grown past it."""
    owner = Recorder()
    log.produce([b"x"] * 10, 2)
    async with running(log.bootstrap, log.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == 10, "the partition")
        thread, moved = stream._thread, TopicPartition(log.topic, 2)
        assert moved in thread._leaders
        claims = len(owner.claims)
        told: list[int] = []  # claims that were made when a chunk came
        take = owner.take

        async def taking(chunk: Chunk) -> None:
            told.append(len(owner.claims) - claims)
            await take(chunk)

        owner.take = taking  # type: ignore[method-assign]  # to see the order of the two
        for value in range(20):
            thread._leaders[moved] = 99
            log.produce([b"%d" % value], 2)
            await until(lambda: len(owner.ledger.values) == 11 + value, "the next record")  # noqa: B023  # awaited in its turn
        assert told == [*range(1, 21)]
        assert owner.fenced == 0


@pytest.mark.parametrize("part", ["coordinator", "fetcher"])
async def test_a_dead_part_of_the_consumer_ends_even_a_member_without_partitions(
    narrow: Log, part: str
) -> None:
    """Faust asks neither part, and does not fetch here."""
    owners = [Recorder(), Recorder()]
    streams = [
        ArchiveStream(KafkaConnection(narrow.bootstrap), narrow.topic, narrow.group, owner, QUICK)
        for owner in owners
    ]
    runs = [asyncio.create_task(stream.run()) for stream in streams]
    shares = [(frozenset({0}), frozenset()), (frozenset(), frozenset({0}))]
    await until(
        lambda: all(stream.assigned for stream in streams) and (owners[0].held, owners[1].held) in shares,
        "one member with the partition, one with none",
    )
    idle = 0 if not owners[0].held else 1
    consumer = streams[idle]._thread._ensure_consumer()

    async def die() -> None:
        if part == "coordinator":
            consumer._coordinator._pending_exception = GroupAuthorizationFailedError("archive")
        else:
            consumer._fetcher._fetch_task.cancel()

    await streams[idle]._thread.within(die())
    with pytest.raises(Fatal, match="group" if part == "coordinator" else "fetcher"):
        await asyncio.wait_for(runs[idle], 15)
    await streams[1 - idle].stop()
    await runs[1 - idle]


@pytest.mark.parametrize("joins", [0, 1])
async def test_a_group_that_refuses_a_member_ends_its_stream(
    narrow: Log, joins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its first join, and in a rebalance: Faust's flow is stopped in both, and nothing is fetched."""
    performed: list[Any] = []
    join = GroupCoordinator._do_rejoin_group

    async def refused_after(self: Any, subscription: Any) -> Any:
        if len(performed) == joins:
            raise GroupAuthorizationFailedError("archive")
        performed.append(subscription)
        return await join(self, subscription)

    monkeypatch.setattr(GroupCoordinator, "_do_rejoin_group", refused_after)
    stream = ArchiveStream(KafkaConnection(narrow.bootstrap), narrow.topic, narrow.group, Recorder(), QUICK)
    run = asyncio.create_task(stream.run())
    if joins:
        await until(lambda: stream.assigned, "an assignment")
        narrow.grow(2)
    with pytest.raises(Fatal, match="refused the stream"):
        await asyncio.wait_for(run, 20)
