"""A flush commits exactly once, whatever the store answers, and gives way to another writer."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.ledger.world import (
    GROUP,
    MarkingKeys,
    MemoryLog,
    batch_of,
    begin,
    committed,
    done,
    flusher,
    retry,
)
from workers.intake.batch import Batch
from workers.intake.lines import Lines
from workers.ledger import entries
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.flush import Fenced
from workers.ledger.halts import Halted
from workers.ledger.head import Head, read_head
from workers.ledger.partition import Partition
from workers.ledger.upload import HANDFUL, TOGETHER
from workers.ledger.verify import Verifier
from workers.store.faults import Fault
from workers.store.memory import MemoryStore


async def entry_at(store: MemoryStore, head: Head, first: int) -> Entry:
    key = head.chain.entry(first)
    return entries.decode(Entry, (await store.get(key)).body, key)


async def test_an_entry_says_what_became_of_each_offset() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}", b"{}"])
    log.end += 3  # markers
    _, after = await flusher(store).flush(head.chain, batch_of(log, 0, 5), done(head))
    entry = await entry_at(store, head, 0)
    assert (entry.first, entry.next, entry.gaps, entry.counts) == (0, 5, 3, {"accepted": {"accepted": 2}})
    assert entry.previous == head.digest
    assert after.next == 5
    assert entry.anchor is not None
    assert entry.anchor.offset == 1


async def test_a_range_without_records_keeps_the_anchor() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [2])
    log.end += 4
    _, after = await flusher(store).flush(heads[0].chain, batch_of(log, 2, 6), done(heads[-1]))
    assert (await entry_at(store, after, 2)).objects == ()
    assert after.anchor == heads[-1].anchor


async def test_the_second_writer_is_fenced_and_changes_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"] * 4)
    await flusher(store).flush(head.chain, batch_of(log, 0, 3), done(head))
    before = (await store.get(head.chain.entry(0))).body
    with pytest.raises(Fenced):
        await flusher(store).flush(head.chain, batch_of(log, 0, 4), done(head))
    assert (await store.get(head.chain.entry(0))).body == before
    assert (await read_head(store, head.chain, None, retry())).next == 3  # type: ignore[union-attr] # it exists


async def test_a_batch_that_does_not_begin_at_the_head_is_fenced() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [3])
    log.produce([b"{}"] * 4)
    with pytest.raises(Fenced, match="ends at 3, the batch begins at 4"):
        await flusher(store).flush(heads[0].chain, batch_of(log, 4, 6), done(heads[-1]))


async def test_a_flush_costs_its_objects_and_one_request() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    batch = Batch(0)
    for number in range(5):
        group = GROUP._replace(source=f"s{number}")
        batch.sorting.lines[group] = Lines([b"{}"])
    batch.sorting.counts[GROUP.disposition] = {"accepted": 5}
    batch.extend(5, 5, uptime=0.0, oldest=0)
    before = store.requests.total()
    await flusher(store).flush(head.chain, batch, done(head))
    assert store.requests.total() - before == 6


class Counting(ThreadPoolExecutor):
    """How often it was given something to do."""

    def __init__(self) -> None:
        super().__init__(1)
        self.times = 0

    def submit(self, *args: Any, **named: Any) -> Any:
        self.times += 1
        return super().submit(*args, **named)


async def uploaded(lines: list[Lines], threads: Counting) -> list[StoredObject]:
    groups = {GROUP._replace(source=f"s{number:03}"): each for number, each in enumerate(lines)}
    store = MemoryStore()
    uploads = await replace(flusher(store), threads=threads).upload(
        groups, lambda number, group: f"o{number}"
    )
    for upload in uploads:
        assert upload.stored.stored_bytes == (await store.stat(upload.stored.key)).size
        assert (upload.unit.source, upload.unit.day) == (upload.stored.source, upload.stored.day)
    return [upload.stored for upload in uploads]


async def test_small_objects_are_made_by_the_handful() -> None:
    """A hand-over to a thread costs as much as a small object. Four are uploaded at once (world.flusher)."""
    threads = Counting()
    stored = await uploaded([Lines([b"{}"] * (1 + number)) for number in range(40)], threads)
    assert [(each.key, each.source, each.records) for each in stored] == [
        (f"o{number}", f"s{number:03}", 1 + number) for number in range(40)
    ]
    assert threads.times == 4


async def test_a_handful_is_no_more_than_that_however_many_objects_there_are() -> None:
    threads = Counting()
    assert len(await uploaded([Lines([b"{}"]) for _ in range(400)], threads)) == 400
    assert threads.times == 400 // HANDFUL


async def test_few_objects_are_made_side_by_side_and_so_are_large_ones() -> None:
    few, large = Counting(), Counting()
    await uploaded([Lines([b"{}"]) for _ in range(7)], few)
    await uploaded([Lines([bytes(TOGETHER * 2 // 3)]) for _ in range(40)], large)
    assert (few.times, large.times) == (7, 40)


async def test_batches_prepared_side_by_side_are_committed_in_order() -> None:
    store, log = MemoryStore(), MemoryLog()
    partition = Partition(await begin(store, log), flusher(store))
    log.produce([b'{"n":%d}' % offset for offset in range(30)])
    for first in range(0, 30, 10):
        partition.batch = batch_of(log, first, first + 10)
        partition.flush()
    await partition.settle()
    assert partition.head.next == 30
    assert (await Verifier(store, store, retry()).run()).clean


async def test_a_batch_that_is_ready_first_waits_for_the_one_before_it() -> None:
    store, log = MemoryStore(), MemoryLog()
    partition = Partition(await begin(store, log), flusher(store))
    log.produce([b'{"n":%d}' % offset for offset in range(20)])
    store.faults.add(Fault.HELD, operation="put", key=partition.head.chain.entry(0))
    for first in (0, 10):
        partition.batch = batch_of(log, first, first + 10)
        partition.flush()
    await asyncio.sleep(0.05)
    assert store.faults.injected
    assert not [stat async for stat in store.list(partition.head.chain.entry(10))], "committed ahead"
    assert partition.flushes == 2
    store.faults.release()
    await partition.settle()
    assert partition.head.next == 20


async def test_a_dropped_partition_commits_nothing_more_and_holds_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    partition = Partition(await begin(store, log), flusher(store))
    log.produce([b"{}"] * 10)
    partition.batch = batch_of(log, 0, 10)
    flight = partition.flush()
    await partition.drop()
    assert flight.cancelled()
    assert partition.buffered_bytes == 0
    await asyncio.sleep(0.05)
    report = await Verifier(store, store, retry()).run()
    assert report.clean
    assert report.entries == 0


async def test_records_of_a_withdrawn_key_halt_their_partition_and_write_no_entry() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"])
    keys = MarkingKeys(withdrawn=True)
    with pytest.raises(Halted) as halted:
        await flusher(store, keys=keys).flush(head.chain, batch_of(log, 0, 1), done(head))
    assert halted.value.cause == "key_withdrawn"
    assert (await Verifier(store, store, retry()).run()).entries == 0


async def test_a_key_withdrawn_during_the_uploads_gets_no_entry() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"])
    keys = MarkingKeys()

    async def wait_for_the_one_before() -> Head:
        keys.withdraw()
        return head

    with pytest.raises(Halted):
        await flusher(store, keys=keys).flush(head.chain, batch_of(log, 0, 1), wait_for_the_one_before)
    report = await Verifier(store, store, retry()).run()
    assert (report.entries, report.orphans) == (0, 1)


async def test_a_key_that_expires_while_it_seals_is_fetched_again() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"])
    keys = MarkingKeys(expiring=2)
    await flusher(store, keys=keys).flush(head.chain, batch_of(log, 0, 1), done(head))
    assert (await Verifier(store, store, retry()).run()).clean
