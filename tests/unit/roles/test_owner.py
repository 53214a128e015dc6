"""The owner takes chunks within its limits, flushes when due, and lets go of what it loses."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest

from tests.unit.intake.making import key_record, policy_of, workspace_record
from tests.unit.ledger.world import MemoryLog, closed, log_id
from tests.unit.roles.world import LIMITS, FakePolicy, FakeStream, World, settled
from workers.intake.samples import Samples
from workers.ledger.entries import Entry, Opens
from workers.ledger.names import ChainId
from workers.observe import metrics
from workers.roles.halts import LOSS_LOOK
from workers.roles.owner import Limits
from workers.store.faults import Fault
from workers.stream.chunk import Chunk


def halts_counted() -> float:
    return metrics.REGISTRY.get_sample_value("strongroom_halts_total", {"cause": "log_start_above_head"}) or 0


def counts() -> tuple[float, float]:
    """Records committed, and records dropped."""
    samples = [sample for metric in metrics.REGISTRY.collect() for sample in metric.samples]

    def of(name: str) -> float:
        return sum(sample.value for sample in samples if sample.name == name)

    return of("strongroom_records_total"), of("strongroom_records_dropped_total")


async def test_a_partition_is_claimed_where_the_ledger_ends() -> None:
    world = World(logs={0: MemoryLog(start=3, end=9)})
    owner = world.owner()
    assert await owner.claim(frozenset({0, 1})) == {0: 3, 1: 0}


async def test_a_batch_is_flushed_when_it_is_large_enough() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 10))
    await settled(owner)
    assert (await world.verify()).entries == 0
    await owner.take(world.chunk(0, 90))
    await settled(owner)
    report = await world.verify()
    assert (report.findings, report.entries, report.offsets) == ([], 1, 100)
    assert owner.buffered_bytes == 0


async def test_a_batch_is_flushed_when_it_is_old_enough_and_leaves_a_hint() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 3))
    world.time += 4_999
    await owner.tick()
    await settled(owner)
    assert not world.stream.hints
    world.time += 1
    await owner.tick()
    await settled(owner)
    await owner.tick()
    await asyncio.sleep(0)
    assert world.stream.hints[0][0] == 3
    assert (await world.verify()).offsets == 3


async def test_what_was_refused_is_told_of_a_committed_batch_alone() -> None:
    world = World()
    told: dict[str, list[Entry]] = {"winner": [], "fenced": []}
    winner = world.owner(refused=lambda entry, _: told["winner"].append(entry))
    fenced = world.owner(refused=lambda entry, _: told["fenced"].append(entry))
    chunk = world.chunk(0, 3)
    for owner in (winner, fenced):
        await owner.claim(frozenset({0}))
        await owner.take(chunk)
    assert told == {"winner": [], "fenced": []}
    world.time += 5_000
    for owner in (winner, fenced):
        await owner.tick()
        await settled(owner)
        await asyncio.sleep(0)
    assert [(entry.first, entry.next) for entry in told["winner"]] == [(0, 3)]
    assert told["fenced"] == []
    assert (await world.verify()).entries == 1


async def test_a_coordinator_that_is_mute_holds_up_no_flush() -> None:
    world = World()
    owner = world.owner()
    asked = asyncio.Event()

    async def mute(hints: Mapping[int, tuple[int, str]]) -> bool:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    world.stream.commit_hint = mute  # type: ignore[method-assign] # as a broker does that answers nothing
    await owner.claim(frozenset({0}))
    for _ in range(2):
        await owner.take(world.chunk(0, 3))
        world.time += 5_000
        await owner.tick()
        await settled(owner)
        await owner.tick()
        await asyncio.sleep(0)
        assert asked.is_set()
    assert (await world.verify()).offsets == 6


async def test_a_range_without_records_is_archived_as_gaps() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    world.logs[0].end = 5
    await owner.take(Chunk(0, 0, 5, []))
    world.time += 10_000
    await owner.tick()
    await settled(owner)
    report = await world.verify()
    assert (report.offsets, report.records["gap"]) == (5, 5)


async def test_taking_waits_while_the_buffer_is_full_and_goes_on_when_a_flush_has_landed() -> None:
    world = World()
    owner = world.owner(Limits(10**9, 1000.0, 20_000, 2.0))
    await owner.claim(frozenset({0}))
    world.store.faults.add(Fault.HELD, operation="put", key="data/*", times=None)
    await owner.take(world.chunk(0, 120))
    waiting = asyncio.create_task(owner.take(world.chunk(0, 10)))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    world.store.faults.clear()
    await asyncio.wait_for(waiting, 5)


async def test_a_revocation_releases_whoever_waits_and_drops_what_was_buffered() -> None:
    world = World()
    owner = world.owner(Limits(10**9, 1000.0, 20_000, 2.0))
    await owner.claim(frozenset({0}))
    world.store.faults.add(Fault.HELD, operation="put", key="data/*", times=None)
    await owner.take(world.chunk(0, 120))
    waiting = asyncio.create_task(owner.take(world.chunk(0, 10)))
    await asyncio.sleep(0.02)
    await owner.revoked(frozenset({0}))
    await asyncio.wait_for(waiting, 5)
    assert owner.buffered_bytes == 0
    assert (await world.verify()).entries == 0


async def test_what_was_revoked_is_taken_again_by_the_next_owner_and_archived_once() -> None:
    world = World()
    first, second = world.owner(), world.owner()
    await first.claim(frozenset({0}))
    chunk = world.chunk(0, 20)
    await first.take(chunk)
    await first.revoked(frozenset({0}))
    assert await second.claim(frozenset({0})) == {0: 0}
    await second.take(chunk)
    await second.drain()
    report = await world.verify()
    assert (report.findings, report.offsets) == ([], 20)


async def test_a_commit_that_lands_when_its_partition_has_gone_is_in_the_ledger_and_in_no_count() -> None:
    world = World()
    first, second = world.owner(), world.owner()
    await first.claim(frozenset({0}))
    late = world.store.faults.add(Fault.LATE_WRITE, operation="put", key="ledger/*")
    world.store.faults.add(Fault.HELD, operation="put", key="ledger/*")
    counted, dropped = counts()
    await first.take(world.chunk(0, 120))  # as much as flushes
    async with asyncio.timeout(5):
        while not late.hits:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.01)
    await first.revoked(frozenset({0}))
    world.store.land_late_writes()
    assert await second.claim(frozenset({0})) == {0: 120}
    assert (await world.verify()).offsets == 120
    assert counts() == (counted, dropped + 120)


async def test_two_owners_of_one_partition_archive_each_record_once() -> None:
    world = World()
    first, second = world.owner(), world.owner()
    second.stream = FakeStream(owner=second)
    await first.claim(frozenset({0}))
    await second.claim(frozenset({0}))
    chunk = world.chunk(0, 20)
    await first.take(chunk)
    await second.take(chunk)
    await asyncio.gather(first.drain(), second.drain())
    await asyncio.sleep(0.05)
    report = await world.verify()
    assert (report.findings, report.offsets) == ([], 20)
    reclaimed = world.stream.reclaimed + second.stream.reclaimed
    assert reclaimed == [{0: 20}]  # the one that was fenced went on at the head


async def test_a_stale_policy_holds_the_chunk_and_decides_nothing() -> None:
    world = World(policy=FakePolicy(old=True))
    owner = world.owner()
    await owner.claim(frozenset({0}))
    waiting = asyncio.create_task(owner.take(world.chunk(0, 3)))
    await asyncio.sleep(0.12)
    assert not waiting.done()
    assert world.holds == {"policy_stale"}
    assert owner.buffered_bytes == 0
    world.policy.old = False
    await asyncio.wait_for(waiting, 5)
    assert not world.holds
    assert owner.partitions[0].batch.next == 3


async def test_a_log_that_does_not_carry_on_halts_its_partition_and_no_other() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0, 1}))
    for number in (0, 1):
        await owner.take(world.chunk(number, 3))
    await owner.drain()
    world.logs[0].end = 1
    assert await owner.claim(frozenset({0, 1})) == {0: None, 1: 3}
    assert set(owner.halted) == {0}
    await owner.take(Chunk(0, 0, 1, []))
    assert set(owner.partitions) == {1}


async def test_a_partition_whose_loss_is_put_on_record_goes_on_by_itself() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 3))
    await owner.drain()
    newest = owner.partitions[0].head
    world.logs[0].start = world.logs[0].end = 9
    owner = world.owner()
    before = halts_counted()
    assert await owner.claim(frozenset({0})) == {0: None}
    for _ in range(3):
        assert not world.stream.reclaimed, "it was looked at again at once"
        await owner.tick()
        await asyncio.sleep(0.01)
        world.time += int(LOSS_LOOK * 500)
    assert world.stream.reclaimed == [{0: None}]
    assert halts_counted() - before == 1, "one halt was counted twice"
    await closed(world.store, newest, Opens(log_id(0).topic_id, 2, 9))
    world.time += int(LOSS_LOOK * 1000)
    await owner.tick()
    await asyncio.sleep(0.01)
    assert world.stream.reclaimed[1:] == [{0: 9}]
    assert not owner.halted
    await owner.take(world.chunk(0, 2))
    await owner.drain()
    assert owner.partitions[0].head.next == 11


async def test_a_flush_that_finds_the_ledger_tampered_with_halts_its_partition() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 3))
    world.store.faults.add(Fault.REFUSED, operation="put", key="ledger/*", times=None)
    world.store.faults.add(Fault.NOT_FOUND, operation="get", key="ledger/*", times=None)
    await owner.drain()
    await asyncio.sleep(0.05)
    assert set(owner.halted) == {0}
    assert world.stream.halted == {0}
    assert not owner.failed.done()


async def test_a_chunk_from_before_the_claim_is_not_taken() -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    chunk = world.chunk(0, 3)
    await owner.take(chunk._replace(start=1))
    assert owner.partitions[0].batch.empty
    await owner.take(chunk)
    assert owner.partitions[0].batch.next == 3


async def test_what_nobody_foresaw_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 3))

    async def broken(*args: object, **kwargs: object) -> str:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(world.store, "put", broken)
    await owner.drain()
    with pytest.raises(RuntimeError, match="unforeseen"):
        await asyncio.wait_for(owner.failed, 5)


async def test_a_revocation_amid_the_last_flush_waits_for_it() -> None:
    world = World()
    owner = world.owner(replace(LIMITS, shutdown_timeout=60.0))
    await owner.claim(frozenset({0, 1}))
    await owner.take(world.chunk(0, 3))
    await owner.take(world.chunk(1, 4))
    world.store.faults.add(Fault.HELD, operation="put", times=None)
    draining = asyncio.create_task(owner.drain())
    await asyncio.sleep(0.02)
    revoked = asyncio.create_task(owner.revoked(frozenset({0, 1})))
    await asyncio.sleep(0.02)
    assert not revoked.done()
    world.store.faults.clear()
    await asyncio.wait_for(asyncio.gather(draining, revoked), 5)
    assert (await world.verify()).offsets == 7
    assert not owner.partitions


async def test_a_last_flush_that_is_given_up_or_stuck_holds_no_revocation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for given_up in (True, False):
        world = World()
        owner = world.owner(replace(LIMITS, shutdown_timeout=60.0))
        await owner.claim(frozenset({0}))
        await owner.take(world.chunk(0, 3))
        world.store.faults.add(Fault.HELD, operation="put", times=None)
        draining = asyncio.create_task(owner.drain())
        await asyncio.sleep(0.02)
        if given_up:
            draining.cancel()
        else:
            monkeypatch.setattr("workers.roles.owner.DRAIN_WAIT", 0.05)
        await asyncio.wait_for(owner.revoked(frozenset({0})), 5)
        assert not owner.partitions
        await asyncio.wait({draining}, timeout=5)
        assert draining.done()
        assert (await world.verify()).entries == 0


async def test_draining_gives_up_in_time() -> None:
    world = World()
    owner = world.owner(Limits(10**9, 1000.0, 10**9, 0.05))
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 3))
    world.store.faults.add(Fault.HELD, operation="put", times=None)
    draining = asyncio.create_task(owner.drain())
    await asyncio.sleep(0)
    # nor does a revocation wait for longer
    await asyncio.wait_for(asyncio.gather(owner.revoked(frozenset({0})), draining), 5)
    assert (await world.verify()).entries == 0


async def test_spans_of_what_was_taken_follow_without_a_gap_whenever_it_is_flushed() -> None:
    known = policy_of([key_record(f"k{n}") for n in range(100)], [workspace_record()])
    world, spans = World(), []

    def observed(chain: ChainId, samples: Samples) -> None:
        records = sum(group.records for group in samples.groups.values())
        spans.append((chain.partition, samples.start, samples.end, records))

    owner = world.owner(replace(LIMITS, observe_interval=15.0), observed=observed, policy=known)
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 10))
    world.time += 14_000
    await owner.tick()
    await owner.take(world.chunk(0, 5))
    assert spans == []
    world.time += 1_000
    await owner.tick()
    assert spans == [(0, 0, 15, 15)]
    world.time += 60_000
    await owner.tick()
    assert len(spans) == 1  # of nothing there is no span
    await owner.take(world.chunk(0, 7))
    await owner.revoked(frozenset({0}))
    assert spans[1:] == [(0, 15, 22, 7)]


async def test_the_end_of_a_worker_tells_what_it_saw() -> None:
    known = policy_of([key_record(f"k{n}") for n in range(100)], [workspace_record()])
    world, spans = World(), []
    owner = world.owner(observed=lambda chain, samples: spans.append(samples.end), policy=known)
    await owner.claim(frozenset({0}))
    await owner.take(world.chunk(0, 10))
    await owner.drain()
    assert spans == [10]


@pytest.mark.parametrize("appended", [None, 1_764_000_000_000])
async def test_the_oldest_record_has_an_age_whosever_times_the_topic_keeps(appended: int | None) -> None:
    world = World()
    owner = world.owner()
    await owner.claim(frozenset({0}))
    chunk = world.chunk(0, 1)
    await owner.take(chunk._replace(runs=[run._replace(appended=appended) for run in chunk.runs]))
    world.time += 3_000
    await owner.tick()
    assert metrics.REGISTRY.get_sample_value("strongroom_oldest_unarchived_seconds") == 3
