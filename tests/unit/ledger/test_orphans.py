"""What is an orphan and what is not: every state of a place in the ledger, and doubt means keep."""

import asyncio
import random
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.unit.ledger.world import (
    GROUP,
    MemoryLog,
    batch_of,
    begin,
    committed,
    done,
    flusher,
    no_sleep,
    retry,
)
from workers.errors import Retryable
from workers.ledger import entries, orphans
from workers.ledger.chain import read
from workers.ledger.entries import Closing, Entry, Opens
from workers.ledger.flush import Commit, Fenced
from workers.ledger.head import Head, read_head
from workers.ledger.names import ChainId
from workers.ledger.orphans import Judge, Kind, judged
from workers.ledger.sweep import Terms, sweep
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import Denied, Got, NotFound, Stat
from workers.store.retry import Retry

OTHER = "f" * 16  # an attempt that no writer of these tests draws
ALL = Terms(delete=True, grace=0)
NOW = 4_000_000_000_000


async def kinds(ledger: MemoryStore, data: MemoryStore | None = None) -> dict[str, Kind]:
    return {each.stat.key: each.kind async for each in judged(ledger, data or ledger, retry())}


async def put(store: MemoryStore, chain: ChainId, first: int, size: int = 5, attempt: str = OTHER) -> str:
    key = chain.data(GROUP, first, first + size, attempt)
    await store.put(key, b"sealed")
    return key


async def rewrite(store: MemoryStore, chain: ChainId, place: int, **changed: object) -> None:
    body = await read(store, chain.entry(place), retry())
    assert body is not None
    entry = msgspec.structs.replace(entries.decode(Entry, body, "here"), **changed)
    await store.put(chain.entry(place), entries.encode(entry))


async def close(store: MemoryStore, head: Head) -> None:
    """As an acknowledged loss ends a chain."""
    chain = head.chain
    closing = Closing(
        topic=chain.topic,
        topic_id=chain.topic_id,
        incarnation=chain.incarnation,
        partition=chain.partition,
        first=head.next,
        head=head.next,
        previous=head.digest,
        cause="anchor_differs",
        reason="a test",
        actor="somebody",
        host="here",
        version="test",
        attempt="0" * 16,
        committed_at=1,
        log=(0, 0),
        lost=None,
        repeats=None,
        broken=(),
        opens=Opens(chain.topic_id, chain.incarnation + 1, 0),
    )
    await store.put(chain.entry(head.next), entries.encode(closing))


async def chain_of(store: MemoryStore, sizes: list[int]) -> Head:
    return (await committed(store, MemoryLog(), sizes))[-1]


async def test_committed_objects_are_listed() -> None:
    store = MemoryStore()
    await chain_of(store, [5, 7, 9])
    assert [*(await kinds(store)).values()] == [Kind.LISTED] * 3


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (0, Kind.ORPHAN),  # the first entry's place
        (7, Kind.ORPHAN),  # inside the second entry
        (12, Kind.ORPHAN),  # the last entry's place: nothing follows it, and it is whole
        (20, Kind.ORPHAN),  # the last entry's last offset
        (21, Kind.PENDING),  # the head: another attempt may still come first
        (22, Kind.PENDING),  # behind it: prepared ahead
    ],
)
async def test_an_attempt_beside_a_chain_of_0_to_21(first: int, kind: Kind) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7, 9])
    key = await put(store, head.chain, first)
    assert (await kinds(store))[key] is kind


@pytest.mark.parametrize(("first", "kind"), [(5, Kind.ORPHAN), (6, Kind.ORPHAN), (2, Kind.ORPHAN)])
async def test_an_attempt_at_a_closed_chain_can_never_commit(first: int, kind: Kind) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5])
    key = await put(store, head.chain, first)
    assert (await kinds(store))[key] is not kind or first == 2
    await close(store, head)
    assert (await kinds(store))[key] is kind


async def test_an_older_incarnation_and_a_newer_one_are_judged_apart() -> None:
    store = MemoryStore()
    head = await chain_of(store, [5])
    await close(store, head)
    newer = head.chain._replace(incarnation=2)
    old, new = await put(store, head.chain, 5), await put(store, newer, 5)
    found = await kinds(store)
    assert (found[old], found[new]) == (Kind.ORPHAN, Kind.FOREIGN)


async def test_before_the_first_entry_everything_may_still_commit() -> None:
    store = MemoryStore()
    head = await begin(store, MemoryLog())
    key = await put(store, head.chain, 0)
    assert await kinds(store) == {key: Kind.PENDING}


async def test_an_object_before_its_chain_is_in_doubt() -> None:
    """Each writer obeys the genesis that won, so none writes there: the genesis is another than it was."""
    store = MemoryStore()
    head = await begin(store, MemoryLog(start=50, end=50))
    key = await put(store, head.chain, 40)
    assert await kinds(store) == {key: Kind.UNPROVEN}


async def test_another_ledger_makes_no_orphans() -> None:
    store = MemoryStore()
    await chain_of(store, [5, 7])
    found = await kinds(MemoryStore("another ledger"), store)
    assert set(found.values()) == {Kind.FOREIGN}


async def test_names_that_fit_no_chain_are_strange() -> None:
    store = MemoryStore()
    await chain_of(store, [5])
    await store.put("data/ws=acme/notes.txt", b"a person's")
    assert (await kinds(store))["data/ws=acme/notes.txt"] is Kind.STRANGE


@pytest.mark.parametrize("first", [5, 7])
async def test_a_deleted_entry_makes_no_orphans(first: int) -> None:
    """The head is above, and no entry lists it: by the rule alone, what was committed would be swept."""
    store = MemoryStore()
    head = await chain_of(store, [5, 7, 9])
    key = await put(store, head.chain, first)
    before = await kinds(store)
    await store.delete([head.chain.entry(5)])
    found = await kinds(store)
    assert (before[key], found[key]) == (Kind.ORPHAN, Kind.UNPROVEN)
    assert [found[each] for each, kind in before.items() if kind is Kind.LISTED].count(Kind.UNPROVEN) == 1
    assert Kind.ORPHAN not in found.values()


@pytest.mark.parametrize("first", [5, 7])
async def test_an_entry_before_a_hole_proves_nothing(first: int) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7, 9, 4])
    key = await put(store, head.chain, first)
    await store.delete([head.chain.entry(12)])
    assert (await kinds(store))[key] is Kind.UNPROVEN


async def test_a_cut_off_head_makes_no_orphans() -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7])
    await store.delete([head.chain.entry(5)])
    assert sorted((await kinds(store)).values()) == [Kind.LISTED, Kind.PENDING]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"\xff", b'{"kind":"else"}'], ids=["empty", "nothing", "no text", "else"]
)
async def test_a_broken_entry_makes_no_orphans(body: bytes) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7, 9])
    keys = [await put(store, head.chain, first) for first in (5, 7)]
    await store.put(head.chain.entry(5), body)
    found = await kinds(store)
    assert {found[key] for key in keys} == {Kind.UNPROVEN}
    assert Kind.ORPHAN not in found.values()


@pytest.mark.parametrize(
    "changed",
    [
        {"attempt": "e" * 16, "objects": ()},  # every object of the true one would be an orphan
        {"first": 4},
        {"partition": 1},
        {"gaps": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("last", [False, True])
async def test_a_forged_entry_makes_no_orphans(changed: dict[str, object], last: bool) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7] if last else [5, 7, 9])
    if last:
        await close(store, head)  # what a closing names is held to as well
    await put(store, head.chain, 7)
    await put(store, head.chain, 5)
    await rewrite(store, head.chain, 5, **changed)
    found = await kinds(store)
    assert Kind.UNPROVEN in found.values()
    assert Kind.ORPHAN not in found.values()


async def test_an_entry_that_lists_another_attempts_object_proves_nothing() -> None:
    store = MemoryStore()
    head = await chain_of(store, [5])
    key = await put(store, head.chain, 0)
    body = await read(store, head.chain.entry(0), retry())
    assert body is not None
    [stored] = entries.decode(Entry, body, "here").objects
    await rewrite(store, head.chain, 0, objects=(msgspec.structs.replace(stored, key=key),))
    assert set((await kinds(store)).values()) == {Kind.UNPROVEN}


async def test_a_genesis_that_is_gone_makes_no_orphans() -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7])
    keys = [await put(store, head.chain, first) for first in (0, 2)]
    await store.delete([head.chain.genesis])
    found = await kinds(store)
    assert {found[key] for key in keys} == {Kind.UNPROVEN}


async def test_an_entry_that_comes_while_the_place_is_looked_at() -> None:
    """Free when it was read, the head above it when that was: the bare rule would sweep what committed."""

    class Racing(MemoryStore):
        arrives: tuple[str, bytes] | None = None

        async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
            if self.arrives is not None and self.arrives[0] == key:
                (name, body), self.arrives = self.arrives, None
                await self.put(name, body)
                raise NotFound(key)
            return await super().get(key, start=start, length=length)

    store = Racing()
    head = await chain_of(store, [5, 7])
    entry = head.chain.entry(5)
    body = (await store.get(entry)).body
    await store.delete([entry])
    store.arrives = (entry, body)
    assert [*(await kinds(store)).values()] == [Kind.LISTED] * 2
    assert store.arrives is None


async def test_an_entry_that_is_restored_while_the_place_is_looked_at() -> None:
    """The entry before it then has its witness again, and yet does not cover the place."""

    class Restoring(MemoryStore):
        restored: tuple[str, bytes] | None = None
        when = ""

        async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
            if self.restored is not None and key == self.when:
                (name, body), self.restored = self.restored, None
                await self.put(name, body)
            return await super().get(key, start=start, length=length)

    store = Restoring()
    head = await chain_of(store, [5, 7, 9])
    entry = head.chain.entry(5)
    body = (await store.get(entry)).body
    [stored] = entries.decode(Entry, body, entry).objects
    await store.delete([entry])
    store.restored, store.when = (entry, body), head.chain.entry(0)
    found = await Judge(store, retry()).judge(await store.stat(stored.key))
    assert store.restored is None
    assert found.kind is Kind.UNPROVEN


@pytest.mark.parametrize("stray", ["00000000000000000006.json.old", "6", "00000000000000000006x.json"])
async def test_names_that_no_entry_has_hide_no_entry(stray: str) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7])
    await store.put(f"{head.chain.prefix}{stray}", b"{}")
    key = await put(store, head.chain, 7)
    assert (await kinds(store))[key] is Kind.ORPHAN


@pytest.mark.parametrize("pattern", ["ledger/*/00000000000000000005.json", "ledger/*", "data/*"])
async def test_what_cant_be_read_ends_the_pass_before_anything_is_deleted(pattern: str) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5, 7, 9])
    key = await put(store, head.chain, 0)
    store.faults.add(Fault.DENIED, key=pattern, times=None)
    with pytest.raises(Denied):
        await sweep(store, store, retry(attempts=3), NOW, ALL)
    store.faults.clear()
    assert (await store.stat(key)).key == key


async def test_an_entry_under_way_keeps_its_objects() -> None:
    store = MemoryStore()
    log = MemoryLog()
    log.produce([b"{}"] * 5)
    head = await begin(store, log)
    store.faults.add(Fault.HELD, operation="put", key="ledger/*")
    flush = asyncio.create_task(flusher(store).flush(head.chain, batch_of(log, 0, 5), done(head)))
    while not store.faults.injected:  # noqa: ASYNC110 # the store tells nobody that it holds a request
        await asyncio.sleep(0.001)
    found = await sweep(store, store, retry(), NOW, ALL)
    assert found.kinds == {Kind.PENDING: 1}
    store.faults.release()
    await flush
    assert (await sweep(store, store, retry(), NOW, ALL)).kinds == {Kind.LISTED: 1}


async def test_an_entry_that_lands_after_its_writer_died_finds_its_objects() -> None:
    store = MemoryStore()
    log = MemoryLog()
    log.produce([b"{}"] * 5)
    head = await begin(store, log)
    store.faults.add(Fault.LATE_WRITE, operation="put", key="ledger/*")
    with pytest.raises(Retryable):
        await flusher(store, tries=retry(attempts=1)).flush(head.chain, batch_of(log, 0, 5), done(head))
    found = await sweep(store, store, retry(), NOW, ALL)
    assert (found.kinds, found.swept) == ({Kind.PENDING: 1}, 0)
    store.land_late_writes()
    assert [*(await kinds(store)).values()] == [Kind.LISTED]


async def write(store: MemoryStore, log: MemoryLog, rng: random.Random, tries: Retry) -> None:
    """A writer that flushes two batches at once, as a worker does, and is killed at any time."""
    for _ in range(6):
        try:
            head = await begin(store, log)
        except Retryable:
            continue
        following = head.next + rng.randint(1, 9)
        ahead = batch_of(log, following, following + rng.randint(1, 9))
        writer = flusher(store, tries=tries)
        one = asyncio.create_task(writer.flush(head.chain, batch_of(log, head.next, following), done(head)))

        async def behind(one: "asyncio.Task[Commit]" = one) -> Head:
            return (await asyncio.shield(one)).head

        two = asyncio.create_task(writer.flush(head.chain, ahead, behind))
        await asyncio.wait([one, two], timeout=rng.choice([0.001, 0.01, None]))
        one.cancel()
        two.cancel()
        for outcome in await asyncio.gather(one, two, return_exceptions=True):
            if isinstance(outcome, BaseException):
                assert isinstance(outcome, Fenced | Retryable | asyncio.CancelledError), outcome


@pytest.mark.parametrize("seed", range(12))
async def test_writers_in_a_storm_lose_nothing_to_a_sweeper(seed: int) -> None:
    rng = random.Random(seed)

    async def turn() -> None:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)

    store = MemoryStore(turn=turn)
    log = MemoryLog()
    log.produce([b'{"n":%d}' % n for n in range(400)])
    await begin(store, log)
    store.faults.storm(0.15, lands_after=7)
    tries = Retry(attempts=8, sleep=no_sleep, rng=rng)
    writing = [asyncio.create_task(write(store, log, rng, tries)) for _ in range(3)]
    swept = 0
    while not all(task.done() for task in writing):
        swept += (await sweep(store, store, retry(200), NOW, ALL)).swept
        await asyncio.sleep(0)
    await asyncio.gather(*writing)
    store.faults.clear()
    store.land_late_writes()
    head = await begin(store, log)
    listed = set()
    offset = 0
    while offset < head.next:
        body = await read(store, head.chain.entry(offset), retry())
        assert body is not None
        entry = entries.decode(Entry, body, str(offset))
        listed |= {stored.key for stored in entry.objects}
        offset = entry.next
    last = await sweep(store, store, retry(), NOW, ALL)
    stored = {stat.key async for stat in store.list("data/")}
    assert listed <= stored, "what was committed was swept"
    left = {each: kind for each, kind in (await kinds(store)).items() if each not in listed}
    assert set(left.values()) <= {Kind.PENDING}
    assert swept + last.swept > 0, "this seed left no orphan: it shows nothing"


async def test_few_requests_and_places_forgotten_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    head = await chain_of(store, [5] * 20)
    for first in range(0, 100, 5):
        for attempt in ("a" * 16, "b" * 16):
            await put(store, head.chain, first, attempt=attempt)
    store.requests.clear()
    found = await kinds(store)
    assert [*found.values()].count(Kind.ORPHAN) == 40
    # an entry: read as a place, then again with the one behind it; and the head
    assert store.requests["get"] <= 20 * 3 + 4
    assert store.requests["list"] <= 40
    monkeypatch.setattr(orphans, "PLACES_MAX", 3)
    assert await kinds(store) == found


async def test_a_judge_remembers_no_more_places_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "PLACES_MAX", 3)
    store = MemoryStore()
    await chain_of(store, [5] * 10)
    judge = Judge(store, retry())
    stats: AsyncIterator[Stat] = store.list("data/")
    async for stat in stats:
        await judge.judge(stat)
        assert len(judge._places) <= 3


async def test_a_chain_that_ended_long_before_is_found_across_many_offsets() -> None:
    """The entry that covers a place may begin far before it."""
    store = MemoryStore()
    log = MemoryLog(end=3_000_000)
    log.records[0] = log.records[2_999_999] = b"{}"
    head = await begin(store, log)
    head = (await flusher(store).flush(head.chain, batch_of(log, 0, 3_000_000), done(head))).head
    key = await put(store, head.chain, 2_999_000)
    assert (await kinds(store))[key] is Kind.ORPHAN
    assert await read_head(store, head.chain, None, retry()) == head
