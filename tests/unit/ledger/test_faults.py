"""Whatever the store does to an honest writer, the ledger says the truth and says it once."""

import asyncio
from collections.abc import Awaitable

import pytest
from msgspec.structs import replace

from tests.unit.ledger.world import MemoryLog, batch_of, begin, committed, done, flusher, log_id, retry
from workers.errors import Fatal, Retryable
from workers.ledger.chain import Appended, append
from workers.ledger.fleet import Fleet, enroll
from workers.ledger.flush import Fenced
from workers.ledger.head import read_head
from workers.ledger.names import ChainId
from workers.ledger.verify import Verifier
from workers.store.faults import Fault, Faults
from workers.store.memory import MemoryStore

CHAIN = ChainId(log_id().topic, log_id().topic_id, 1, 0)


@pytest.mark.parametrize("what", ["data/*", "ledger/*"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOST_RESPONSE,
        Fault.OWN_WRITE_REFUSED,
        Fault.LATE_WRITE,
        Fault.TIMED_OUT,
        Fault.CONFLICT,
        Fault.SERVER_ERROR,
        Fault.SLOW_DOWN,
        Fault.UNAUTHENTICATED,
        Fault.DENIED,
    ],
)
async def test_a_flush_survives_what_may_pass(fault: Fault, what: str) -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"] * 3)
    store.faults.add(fault, operation="put", key=what, times=2, lands_after=2)
    _, after = await flusher(store).flush(head.chain, batch_of(log, 0, 3), done(head))
    store.land_late_writes()
    assert len(store.faults.injected) == 2 or fault in {Fault.LOST_RESPONSE, Fault.OWN_WRITE_REFUSED}
    assert store.faults.injected
    report = await Verifier(store, store, retry()).run()
    assert (report.findings, report.entries, report.objects, report.orphans) == ([], 1, 1, 0)
    assert await read_head(store, CHAIN, None, retry()) == after


@pytest.mark.parametrize("seed", range(30))
async def test_a_storm_changes_how_long_it_takes_and_nothing_else(seed: int) -> None:
    store, log = MemoryStore(faults=Faults(seed)), MemoryLog()
    head = await begin(store, log)
    log.produce([b'{"n":%d}' % offset for offset in range(40)])
    store.faults.storm(0.5)
    for first in range(0, 40, 10):
        _, head = await flusher(store, tries=retry(500)).flush(
            CHAIN, batch_of(log, first, first + 10), done(head)
        )
    store.faults.clear()
    store.land_late_writes()
    report = await Verifier(store, store, retry()).run()
    assert (report.findings, report.offsets, report.orphans) == ([], 40, 0)


async def test_a_writer_that_slept_through_its_write_finds_out_that_it_was_fenced() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"] * 6)
    store.faults.add(Fault.HELD, operation="put", key=CHAIN.entry(0))
    sleeper = asyncio.create_task(flusher(store).flush(CHAIN, batch_of(log, 0, 4), done(head)))
    async with asyncio.timeout(5):
        while not store.faults.injected:  # noqa: ASYNC110  # the store has no event for it
            await asyncio.sleep(0)
    await flusher(store).flush(CHAIN, batch_of(log, 0, 6), done(head))
    store.faults.release()
    with pytest.raises(Fenced):
        await sleeper
    report = await Verifier(store, store, retry()).run()
    assert (report.findings, report.offsets, report.orphans) == ([], 6, 1)


async def test_an_outage_that_lasts_holds_the_batch_and_says_why() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = await begin(store, log)
    log.produce([b"{}"])
    store.faults.add(Fault.DENIED, operation="put", times=None)
    with pytest.raises(Retryable):
        await flusher(store, tries=retry(3)).flush(CHAIN, batch_of(log, 0, 1), done(head))
    assert (await Verifier(store, store, retry()).run()).entries == 0


async def test_a_name_that_is_taken_and_not_there_halts_instead_of_writing_again() -> None:
    store = MemoryStore()
    await store.put("chain/1", b"committed")
    store.faults.add(Fault.NOT_FOUND, operation="get", times=None)
    with pytest.raises(Fatal, match="refused as existing and then not found"):
        await append(store, "chain/1", b"mine", ours=lambda winner: winner == b"mine", retry=retry())
    assert store.requests["put"] == 2  # the one that prepared this test, and one try


async def test_a_name_that_comes_into_sight_late_is_read_as_the_winners() -> None:
    store = MemoryStore()
    await store.put("chain/1", b"theirs")
    store.faults.add(Fault.NOT_FOUND, operation="get", times=2)
    appended = await append(store, "chain/1", b"mine", ours=lambda winner: winner == b"mine", retry=retry())
    assert appended == (False, b"theirs")


async def test_losing_a_race_returns_the_winners_bytes() -> None:
    store = MemoryStore()
    bodies = [b"%d" % number for number in range(20)]

    def write(body: bytes) -> Awaitable[Appended]:
        return append(store, "k", body, ours=lambda winner: winner == body, retry=retry())

    results = await asyncio.gather(*map(write, bodies))
    assert sum(result.won for result in results) == 1
    assert {result.body for result in results} == {(await store.get("k")).body}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"root_key": "other"}, "root key"),
        ({"cluster_id": "other"}, "Kafka cluster"),
        ({"group": "other"}, "consumer group"),
    ],
)
async def test_a_worker_of_another_fleet_is_refused(changed: dict[str, str], named: str) -> None:
    store = MemoryStore()
    ours = Fleet(root_key="r", cluster_id="c", group="g")
    await enroll(store, ours, retry())
    await enroll(store, ours, retry())
    with pytest.raises(Fatal, match=named):
        await enroll(store, replace(ours, **changed), retry())


async def test_search_costs_few_requests_however_long_the_chain() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [1] * 300)
    before = store.requests.total()
    assert await read_head(store, CHAIN, None, retry()) == heads[-1]
    assert store.requests.total() - before < 60
    before = store.requests.total()
    await read_head(store, CHAIN, heads[-1].hint, retry())
    assert store.requests.total() - before == 3  # genesis, its entry, none listed behind it
