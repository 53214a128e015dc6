"""A partition's chains follow one another by closings, and by nothing else (docs/format.md, The ledger)."""

import pytest

from tests.unit.ledger.world import (
    TOPIC_ID,
    WRITER,
    MemoryLog,
    batch_of,
    begin,
    closed,
    committed,
    done,
    flusher,
    log_id,
    retry,
)
from workers.ledger.assign import claim
from workers.ledger.entries import After, Genesis, Opens, decode, digest, encode
from workers.ledger.flush import Fenced
from workers.ledger.halts import Halted
from workers.ledger.head import Head, Hint, read_head
from workers.ledger.names import ChainId
from workers.ledger.succession import incarnations
from workers.store.memory import MemoryStore

SECOND = Opens(TOPIC_ID, 2, 9)
ANOTHER = "another"


async def claim_another(store: MemoryStore, log: MemoryLog) -> Head:
    """As after the topic was made anew."""
    made_anew = log_id()._replace(topic_id=ANOTHER)
    return await claim(store, made_anew, log, hint=None, writer=WRITER, now=1, retry=retry())


async def cause_of_halt(store: MemoryStore, log: MemoryLog, hint: Hint | None = None) -> str:
    with pytest.raises(Halted) as halted:
        await begin(store, log, hint)
    return halted.value.cause


async def test_whoever_finds_a_closed_chain_opens_the_next_from_its_closing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    closing = await closed(store, heads[-1], SECOND)
    head = await begin(store, MemoryLog(start=9, end=9))
    assert (head.chain.incarnation, head.next, head.closing) == (2, 9, None)
    body = (await store.get(head.chain.genesis)).body
    genesis = decode(Genesis, body, "genesis")
    assert genesis.after == After(TOPIC_ID, 1, digest(encode(closing)))
    await begin(store, MemoryLog(start=9, end=9))
    assert (await store.get(head.chain.genesis)).body == body


async def test_entries_go_on_behind_a_closing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], SECOND)
    log.start = log.end = 9
    head = (await committed(store, log, [2, 1]))[-1]
    assert (head.chain.incarnation, head.next) == (2, 12)
    assert await begin(store, log, head.hint) == head


async def test_a_writer_of_a_closed_chain_is_fenced() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    log.produce([b"{}"] * 3)
    await closed(store, heads[-1], SECOND)
    with pytest.raises(Fenced, match="or closes the chain"):
        await flusher(store).flush(heads[-1].chain, batch_of(log, 5, 8), done(heads[-1]))


async def test_a_hint_to_a_closed_chain_leads_to_the_next() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], SECOND)
    assert (await begin(store, MemoryLog(start=9, end=9), heads[-1].hint)).chain.incarnation == 2


async def test_an_entry_that_the_groups_hint_names_and_nobody_finds_breaks_the_chain() -> None:
    """Without the hint a tail that was deleted would be archived a second time, as if it had never been."""
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    await store.delete([heads[0].chain.entry(5)])
    assert await cause_of_halt(store, log, heads[-1].hint) == "chain_broken"


async def test_other_bytes_than_the_groups_hint_names_are_tampered_with() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    key = heads[0].chain.entry(5)
    await store.put(key, (await store.get(key)).body.replace(b"worker-0", b"worker-9"))
    assert await cause_of_halt(store, log, heads[-1].hint) == "entry_tampered"


async def test_a_hole_before_the_last_entry_breaks_the_chain() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2, 1])
    await store.delete([heads[0].chain.entry(5)])
    assert await cause_of_halt(store, log, heads[1].hint) == "chain_broken"


async def test_entries_without_a_genesis_are_a_broken_chain() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await store.delete([heads[0].chain.genesis])
    with pytest.raises(Halted) as halted:
        await read_head(store, heads[0].chain, None, retry())
    assert halted.value.cause == "chain_broken"


async def test_a_broken_chain_that_was_closed_is_left_behind() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    await store.put(heads[0].chain.entry(5), b"garbage")
    assert await cause_of_halt(store, log) == "entry_tampered"
    await closed(store, heads[-1], SECOND, cause="entry_tampered", head=5)
    assert (await begin(store, MemoryLog(start=9, end=9))).chain.incarnation == 2


async def test_a_forged_closing_is_no_closing() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], SECOND, partition=3)
    assert await cause_of_halt(store, MemoryLog(start=9, end=9)) == "entry_tampered"


async def test_chains_that_lead_in_a_circle_are_noticed() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], Opens(TOPIC_ID, 1, 0))
    assert await cause_of_halt(store, log) == "entry_tampered"


async def test_a_topic_made_anew_halts_until_the_old_ones_chain_is_closed() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    with pytest.raises(Halted, match="ledger acknowledge --topic raw-events --partition 0") as halted:
        await claim_another(store, MemoryLog())
    assert halted.value.cause == "topic_recreated"
    assert await incarnations(store, "raw-events", retry()) == {TOPIC_ID: [1]}, "something was written"
    await closed(store, heads[-1], Opens(ANOTHER, 1, 3), cause="topic_recreated")
    opened = await claim_another(store, MemoryLog(start=3, end=3))
    assert (opened.chain, opened.next) == (ChainId("raw-events", ANOTHER, 1, 0), 3)


async def test_the_topic_before_is_not_gone_back_to() -> None:
    """A worker that still reads the old topic finds its chain closed in favour of the new one."""
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], Opens(ANOTHER, 1, 0), cause="topic_recreated")
    assert await cause_of_halt(store, log) == "topic_recreated"


async def test_a_partition_added_to_the_new_topic_has_nothing_before_it() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    added = log_id(7)._replace(topic_id=ANOTHER)
    head = await claim(store, added, MemoryLog(), hint=None, writer=WRITER, now=1, retry=retry())
    assert head.chain == ChainId("raw-events", ANOTHER, 1, 7)


async def test_all_incarnations_of_a_topic_are_found_and_none_of_its_namesakes() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    await closed(store, heads[-1], SECOND)
    await begin(store, MemoryLog(start=9, end=9))
    await claim(
        store,
        log_id()._replace(topic="raw-events-eu"),
        MemoryLog(),
        hint=None,
        writer=WRITER,
        now=1,
        retry=retry(),
    )
    assert await incarnations(store, "raw-events", retry()) == {TOPIC_ID: [1, 2]}
