"""A loss is put on record once, as it is, and the partition goes on (docs/architecture.md, Losses)."""

import asyncio
from functools import partial
from typing import Any

import pytest
from msgspec import structs

from tests.unit.ledger.world import (
    TOPIC_ID,
    WRITER,
    MemoryLog,
    batch_of,
    begin,
    committed,
    done,
    flusher,
    log_id,
    retry,
)
from workers.by import By
from workers.ledger import halts
from workers.ledger.acknowledge import Changed, Recorded, acknowledge, last_recorded
from workers.ledger.assign import claim
from workers.ledger.entries import AsFound, Closing, Entry, Opens, decode, digest, encode
from workers.ledger.flush import Fenced
from workers.ledger.halts import Halted
from workers.ledger.head import Head, Hint
from workers.ledger.losses import Loss, find_loss
from workers.ledger.names import ChainId
from workers.ledger.succession import LogId
from workers.ledger.walk import walk
from workers.store.memory import MemoryStore
from workers.store.port import PreconditionFailed

ANOTHER = "another"
LOG_ID = log_id()
BY = By("ops", "bastion", "the disk died", now=1_764_000_000_000)


async def look(
    store: MemoryStore, log: MemoryLog, hint: Hint | None = None, of: LogId = LOG_ID
) -> Loss | None:
    return await find_loss(store, of, log, hint, retry())


async def put_on_record(
    store: MemoryStore, log: MemoryLog, hint: Hint | None = None, of: LogId = LOG_ID, by: By = BY
) -> Recorded:
    loss = await look(store, log, hint, of)
    assert loss is not None
    again = partial(look, store, log, hint, of)
    return await acknowledge(store, again, loss, by, "test", retry())


async def counted(store: MemoryStore, chain: ChainId) -> list[tuple[int, int]]:
    return [(entry.first, entry.next) async for entry in walk(store, chain, retry())]


async def names(store: MemoryStore, prefix: str = "") -> set[str]:
    return {stat.key async for stat in store.list(prefix)}


async def altered(store: MemoryStore, key: str, **changes: object) -> bytes:
    """Puts other words into an entry; its digest is another then."""
    entry = decode(Entry, (await store.get(key)).body, key)
    body = encode(structs.replace(entry, **changes))
    await store.put(key, body)
    return body


def said(closing: Closing) -> tuple[str, int, int, int | None, int | None, Opens]:
    return closing.cause, closing.head, closing.first, closing.lost, closing.repeats, closing.opens


async def test_records_deleted_before_they_were_archived_are_counted_as_lost() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    log.produce([b"{}"] * 7)
    log.expire(9)
    recorded = await put_on_record(store, log)
    assert said(recorded.closing) == (halts.LOG_START_ABOVE_HEAD, 5, 5, 4, 0, Opens(TOPIC_ID, 2, 9))
    closing = recorded.closing
    assert (closing.actor, closing.host, closing.reason, closing.log) == ("ops", "bastion", BY.why, (9, 12))
    assert closing.previous == heads[-1].digest
    assert (await begin(store, log, heads[-1].hint)).next == 9
    assert await look(store, log, heads[-1].hint) is None


async def test_a_log_that_was_cut_goes_on_behind_the_last_archived_record_that_it_holds() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5, 2, 4])
    log.cut(8)
    closing = (await put_on_record(store, log)).closing
    # offset 7 is archived and still there, but only the anchor of 6 proves where the log is the same
    assert said(closing) == (halts.HEAD_ABOVE_LOG_END, 11, 11, None, 1, Opens(TOPIC_ID, 2, 7))
    assert (await begin(store, log)).next == 7


async def test_a_log_that_was_cut_and_grew_goes_on_at_the_cut() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5, 2, 4])
    log.cut(7)
    log.produce([b"other"] * 9)
    closing = (await put_on_record(store, log)).closing
    assert said(closing) == (halts.ANCHOR_DIFFERS, 11, 11, None, 4, Opens(TOPIC_ID, 2, 7))


async def test_another_log_altogether_goes_on_from_its_start() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5, 2])
    another = MemoryLog(start=3, end=3)
    another.produce([b"other"] * 9)
    closing = (await put_on_record(store, another)).closing
    assert said(closing) == (halts.ANCHOR_DIFFERS, 7, 7, None, 4, Opens(TOPIC_ID, 2, 3))


async def test_a_gap_that_was_filled_goes_on_behind_the_last_record_before_it() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [3])
    log.end = 6  # an aborted transaction
    head = (await committed(store, log, [3]))[-1]
    assert head.anchor is not None
    assert (head.next, head.anchor.offset) == (6, 2)
    assert await look(store, log) is None
    log.records[4] = b"grown again"
    closing = (await put_on_record(store, log)).closing
    assert said(closing) == (halts.ANCHOR_DIFFERS, 6, 6, None, 3, Opens(TOPIC_ID, 2, 3))


async def test_a_topic_made_anew_goes_on_in_its_own_chain() -> None:
    store, old = MemoryStore(), MemoryLog()
    heads = await committed(store, old, [5])
    made_anew, log = log_id()._replace(topic_id=ANOTHER), MemoryLog(start=2, end=4)
    recorded = await put_on_record(store, log, of=made_anew)
    assert said(recorded.closing) == (halts.TOPIC_RECREATED, 5, 5, None, None, Opens(ANOTHER, 1, 2))
    assert recorded.key == heads[-1].chain.entry(5)
    head = await claim(store, made_anew, log, hint=None, writer=WRITER, now=1, retry=retry())
    assert (head.chain, head.next) == (made_anew.chain(1), 2)
    assert await look(store, log, of=made_anew) is None


async def test_each_topic_before_is_closed_by_itself() -> None:
    store = MemoryStore()
    for topic_id in ("first", "second"):
        old = log_id()._replace(topic_id=topic_id)
        await store.put(
            old.chain(1).genesis,
            (await _genesis_of(old)),
        )
    log = MemoryLog(start=2, end=4)
    for topic_id in ("first", "second"):
        closing = (await put_on_record(store, log)).closing
        assert (closing.topic_id, closing.opens) == (topic_id, Opens(TOPIC_ID, 1, 2))
    assert (await begin(store, log)).next == 2


async def _genesis_of(old: LogId) -> bytes:
    store = MemoryStore()
    head = await claim(store, old, MemoryLog(), hint=None, writer=WRITER, now=1, retry=retry())
    return (await store.get(head.chain.genesis)).body


async def test_one_may_go_back_to_a_topic_from_the_one_after_it() -> None:
    """A restored cluster has the topic of before; the chain of the one between is closed."""
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    between = log_id()._replace(topic_id=ANOTHER)
    await put_on_record(store, MemoryLog(), of=between)
    closing = (await put_on_record(store, log)).closing
    assert (closing.topic_id, closing.opens) == (ANOTHER, Opens(TOPIC_ID, 2, 0))
    assert (await begin(store, log)).chain == log_id().chain(2)


async def test_a_missing_entry_is_archived_again_as_far_as_the_log_has_it() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    chain = heads[0].chain
    await store.delete([chain.entry(5)])
    log.expire(6)
    closing = (await put_on_record(store, log, heads[1].hint)).closing
    # 5 is lost, 6 was in the missing entry and is still in the log; 7 to 10 come a second time
    assert said(closing) == (halts.CHAIN_BROKEN, 11, 11, 1, 4, Opens(TOPIC_ID, 2, 6))
    assert closing.broken == (AsFound(f"{5:020d}.json", None),)
    assert await counted(store, chain) == [(0, 5), (7, 11)]
    assert (await begin(store, log, heads[-1].hint)).next == 6


async def test_a_missing_entry_whose_records_have_expired_repeats_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    await store.delete([heads[0].chain.entry(5)])
    log.expire(8)
    closing = (await put_on_record(store, log, heads[1].hint)).closing
    assert said(closing) == (halts.CHAIN_BROKEN, 11, 11, 2, 0, Opens(TOPIC_ID, 2, 11))


async def test_a_tail_that_only_the_groups_hint_knows_is_named_and_its_writer_fenced() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    chain = heads[0].chain
    await store.delete([chain.entry(5), chain.entry(7)])
    log.produce([b"{}"] * 3)
    recorded = await put_on_record(store, log, heads[-1].hint)
    assert said(recorded.closing) == (halts.CHAIN_BROKEN, 5, 11, 0, 0, Opens(TOPIC_ID, 2, 5))
    assert [found.name[:20] for found in recorded.closing.broken] == [f"{5:020d}", f"{7:020d}"]
    with pytest.raises(Fenced, match="or closes the chain"):
        await flusher(store).flush(chain, batch_of(log, 11, 14), done(heads[-1]))
    assert await counted(store, chain) == [(0, 5)]


async def test_a_missing_genesis_breaks_the_chain_and_what_it_began_with_is_unknown() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    chain = heads[0].chain
    await store.delete([chain.genesis])
    recorded = await put_on_record(store, log)
    assert said(recorded.closing) == (halts.CHAIN_BROKEN, 7, 7, None, 0, Opens(TOPIC_ID, 2, 7))
    assert recorded.closing.broken == (AsFound("genesis.json", None),)
    assert await counted(store, chain) == [(0, 5), (5, 7)]


async def test_an_altered_entry_counts_for_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    chain = heads[0].chain
    body = await altered(store, chain.entry(5), attempt="forged")
    loss = await look(store, log, heads[2].hint)
    assert loss is not None
    assert loss.cause == halts.ENTRY_TAMPERED
    assert loss.broken == (AsFound(f"{5:020d}.json", digest(body)),)
    await put_on_record(store, log, heads[2].hint)
    assert await counted(store, chain) == [(0, 5), (7, 11)]


async def test_an_altered_entry_is_told_by_the_one_behind_it_alone() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    body = await altered(store, heads[0].chain.entry(5), attempt="forged")
    closing = (await put_on_record(store, log, heads[1].hint)).closing
    assert said(closing) == (halts.ENTRY_TAMPERED, 11, 11, 0, 4, Opens(TOPIC_ID, 2, 5))
    assert closing.broken == (AsFound(f"{5:020d}.json", digest(body)),)


async def test_what_is_altered_once_more_behind_a_closing_stops_its_readers() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    chain = heads[0].chain
    await altered(store, chain.entry(5), attempt="forged")
    await put_on_record(store, log, heads[1].hint)
    assert await counted(store, chain) == [(0, 5), (7, 11)]
    await altered(store, chain.entry(5), attempt="forged again")
    with pytest.raises(Halted, match="its chain's closing names other bytes"):
        await counted(store, chain)


async def test_an_altered_newest_entry_is_told_by_the_groups_hint() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    chain = heads[0].chain
    await altered(store, chain.entry(5), attempt="forged")
    recorded = await put_on_record(store, log, heads[-1].hint)
    assert said(recorded.closing) == (halts.ENTRY_TAMPERED, 5, 7, 0, 0, Opens(TOPIC_ID, 2, 5))
    assert await counted(store, chain) == [(0, 5)]


async def test_what_was_slipped_in_counts_for_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4])
    chain = heads[0].chain
    body = (await store.get(chain.entry(5))).body
    entry = decode(Entry, body, "entry")
    await store.put(chain.entry(8), encode(structs.replace(entry, first=8, next=10)))
    await store.put(chain.entry(11), b"garbage")
    closing = (await put_on_record(store, log)).closing
    assert said(closing) == (halts.ENTRY_TAMPERED, 11, 12, 0, 0, Opens(TOPIC_ID, 2, 11))
    assert [found.name[:20] for found in closing.broken] == [f"{8:020d}", f"{11:020d}"]
    assert await counted(store, chain) == [(0, 5), (5, 7), (7, 11)]


async def test_a_forged_genesis_is_told_by_the_first_entry() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    chain = heads[0].chain
    await store.put(chain.genesis, b"{}")
    closing = (await put_on_record(store, log)).closing
    assert said(closing) == (halts.ENTRY_TAMPERED, 5, 5, None, 0, Opens(TOPIC_ID, 2, 5))
    assert closing.broken == (AsFound("genesis.json", digest(b"{}")),)
    assert await counted(store, chain) == [(0, 5)]


async def test_a_loss_of_a_chain_that_is_broken_before_its_head_names_both() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 4, 1])
    await store.put(heads[0].chain.entry(5), b"garbage")
    log.cut(6)
    closing = (await put_on_record(store, log)).closing
    assert said(closing) == (halts.HEAD_ABOVE_LOG_END, 12, 12, None, 0, Opens(TOPIC_ID, 2, 5))
    assert [found.name[:20] for found in closing.broken] == [f"{5:020d}"]


async def test_a_partition_that_goes_on_has_lost_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    assert await look(store, log) is None
    heads = await committed(store, log, [5])
    log.expire(5)
    assert await look(store, log, heads[-1].hint) is None


async def test_a_halt_that_no_closing_ends_is_told() -> None:
    class Emptied(MemoryStore):
        async def put(self, key: str, *_: Any, **__: Any) -> str:
            raise PreconditionFailed(key)

    store, log = Emptied(), MemoryLog()
    old = log_id()._replace(topic_id="old")
    await MemoryStore.put(store, old.chain(1).genesis, await _genesis_of(old))
    closing_by = MemoryStore()
    await closing_by.put(old.chain(1).genesis, await _genesis_of(old))
    recorded = await put_on_record(closing_by, log)
    await MemoryStore.put(store, recorded.key, encode(recorded.closing))
    with pytest.raises(Halted) as halted:
        await look(store, log)
    assert halted.value.cause == halts.ENTRY_DELETED


async def test_of_two_operators_one_is_recorded_and_the_other_learns_of_it() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    log.expire(9)
    log.end = 9
    loss = await look(store, log)
    assert loss is not None

    async def known() -> Loss | None:
        return loss  # both looked before either wrote

    first, second = await asyncio.gather(
        *(acknowledge(store, known, loss, BY._replace(who=who), "test", retry()) for who in ("ann", "bob"))
    )
    assert first.closing == second.closing
    assert {first.ours, second.ours} == {True, False}
    assert (await begin(store, log)).chain.incarnation == 2


async def test_a_worker_that_was_faster_has_lost_nothing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    loss = await look(store, MemoryLog(start=9, end=9))
    assert loss is not None

    async def known() -> Loss | None:
        return loss

    log.produce([b"{}"])
    await flusher(store).flush(heads[-1].chain, batch_of(log, 5, 6), done(heads[-1]))
    with pytest.raises(Changed, match="a worker has written an entry"):
        await acknowledge(store, known, loss, BY, "test", retry())
    assert (await begin(store, log)).next == 6


@pytest.mark.parametrize("now", [MemoryLog(start=5, end=9), MemoryLog(start=10, end=10)])
async def test_what_was_shown_is_what_is_written_or_nothing(now: MemoryLog) -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    loss = await look(store, MemoryLog(start=9, end=9))
    assert loss is not None
    keys = await names(store)
    with pytest.raises(Changed, match="Nothing was put on record"):
        await acknowledge(store, partial(look, store, now), loss, BY, "test", retry())
    assert await names(store) == keys


async def test_a_log_that_only_grew_is_the_same_loss() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    loss = await look(store, MemoryLog(start=9, end=9))
    assert loss is not None
    grown = MemoryLog(start=9, end=40)
    recorded = await acknowledge(store, partial(look, store, grown), loss, BY, "test", retry())
    assert recorded.closing.log == (9, 40)


async def test_a_paused_writer_that_wakes_behind_the_closing_is_fenced() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    log.produce([b"{}"] * 4)
    batch = batch_of(log, 5, 8)
    log.expire(9)
    recorded = await put_on_record(store, log)
    before = await names(store, "ledger/")
    with pytest.raises(Fenced, match="or closes the chain"):
        await flusher(store).flush(heads[-1].chain, batch, done(heads[-1]))
    assert await names(store, "ledger/") == before
    assert await counted(store, recorded.closing.opens_chain) == []


async def test_a_crash_behind_the_closing_is_made_good_by_whoever_comes() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    log.expire(9)
    log.end = 9
    genesis = log_id().chain(2).genesis
    recorded = await put_on_record(store, log)
    body = (await store.get(genesis)).body
    await store.delete([genesis])
    assert await look(store, log) is None
    assert (await store.get(genesis)).body == body
    await store.delete([genesis])
    assert (await begin(store, log, heads[-1].hint)).next == 9
    assert (await store.get(genesis)).body == body
    found = await last_recorded(store, log_id(), retry())
    assert found == recorded._replace(ours=False)


async def test_a_crash_behind_the_closing_of_a_chain_without_genesis_is_made_good_too() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await store.delete([heads[0].chain.genesis])
    await put_on_record(store, log)
    await store.delete([log_id().chain(2).genesis])
    assert (await begin(store, log, heads[-1].hint)).chain == log_id().chain(2)
    assert heads[0].chain.genesis not in await names(store)


async def test_a_first_chain_was_opened_by_no_closing() -> None:
    store, log = MemoryStore(), MemoryLog()
    assert await last_recorded(store, log_id(), retry()) is None
    await committed(store, log, [5])
    assert await last_recorded(store, log_id(), retry()) is None


async def test_losses_may_follow_one_another() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    for start, lost in ((9, 4), (20, 11)):
        log.start = log.end = start
        closing = (await put_on_record(store, log)).closing
        assert (closing.lost, closing.opens.first) == (lost, start)
    head: Head = await begin(store, log)
    assert (head.chain.incarnation, head.next) == (3, 20)


async def test_an_entry_written_late_into_a_hole_is_passed_over() -> None:
    """Its writer was paused before the hole was found: what it holds is archived by the next chain."""
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    chain = heads[0].chain
    await store.delete([chain.entry(5)])
    await put_on_record(store, log, heads[-1].hint)
    await flusher(store).flush(chain, batch_of(log, 5, 7), done(heads[1]))
    assert await counted(store, chain) == [(0, 5)]
