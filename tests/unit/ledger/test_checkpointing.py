"""The steward's checkpoints say what the chain says, in both buckets, and stop where it lost something."""

import pytest
from msgspec.structs import replace

from tests.unit.ledger.signing import OTHER, SIGNER, checkpointed, checkpointer, newest, said
from tests.unit.ledger.world import MemoryLog, closed, committed, log_id, retry
from workers.ledger import checkpoint as checkpoints
from workers.ledger.checkpoint import Forged, Sums, Vouched, key_of, opened, place
from workers.ledger.entries import AsFound, Opens, digest
from workers.ledger.walk import walk
from workers.store.memory import MemoryStore

CHAIN = log_id().chain(1)


async def keys(store: MemoryStore) -> list[str]:
    return [stat.key async for stat in store.list(checkpoints.ROOT)]


async def test_it_says_what_the_entries_hold_and_is_in_both_buckets() -> None:
    store, second = MemoryStore(), MemoryStore()
    heads = await committed(store, MemoryLog(), [3, 1, 5])
    done = await checkpointed(store, second)
    assert (done.chains, done.written, done.refused, done.forged) == (1, 1, {}, [])
    found = (await newest(store, CHAIN)).checkpoint
    assert (found.first, found.next, found.sha256) == (4, heads[-1].next, heads[-1].digest)
    entries = [entry async for entry in walk(store, CHAIN, retry())]
    assert found.sums == Sums(
        entries=3,
        offsets=9,
        records={"accepted": 9},
        objects=3,
        plain_bytes=sum(each.plain_bytes for entry in entries for each in entry.objects),
        stored_bytes=sum(each.stored_bytes for entry in entries for each in entry.objects),
    )
    assert (await newest(second, CHAIN)).body == (await newest(store, CHAIN)).body
    assert done.newest == [await newest(store, CHAIN)]


async def test_a_chain_that_is_behind_gets_one_every_so_many_entries_and_the_newest_is_listed_first() -> None:
    store = MemoryStore()
    await committed(store, MemoryLog(), [1] * 7)
    assert (await checkpointed(store, every=3)).written == 3
    assert [place(key) for key in await keys(store)] == [(CHAIN, 6), (CHAIN, 5), (CHAIN, 2)]


async def test_a_pass_goes_on_from_the_newest_and_writes_nothing_where_nothing_came() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [1] * 5)
    steward = checkpointer(store)
    await steward.run_pass()
    before = store.requests["get"]
    assert (await steward.run_pass()).written == 0
    assert store.requests["get"] - before == 1
    before = store.requests["get"]
    assert (await checkpointed(store)).written == 0  # one that was started anew
    assert store.requests["get"] - before <= 4, "it read the chain again"
    assert len(await keys(store)) == 1


async def test_the_second_bucket_gets_what_it_lacks() -> None:
    store, second = MemoryStore(), MemoryStore()
    await committed(store, MemoryLog(), [2])
    await checkpointed(store)
    await checkpointed(store, second)
    assert await keys(second) == await keys(store) != []


async def test_two_stewards_agree() -> None:
    store = MemoryStore()
    await committed(store, MemoryLog(), [2])
    one, two = checkpointer(store), checkpointer(store)
    await one.run_pass()
    two._now = lambda: 8
    assert (await two.run_pass()).refused == {}


async def test_a_closing_is_vouched_for() -> None:
    store = MemoryStore()
    heads = await committed(store, MemoryLog(), [2])
    await checkpointed(store)
    await closed(store, heads[-1], Opens(CHAIN.topic_id, 2, 10))
    await checkpointed(store)
    found = (await newest(store, CHAIN)).checkpoint
    assert (found.first, found.next, found.closed) == (2, 2, True)
    assert found.sums.entries == 1


async def test_of_a_broken_chain_that_a_person_closed_nothing_is_said_again() -> None:
    store = MemoryStore()
    heads = await committed(store, MemoryLog(), [2, 2])
    entry = CHAIN.entry(2)
    await store.put(entry, b"eaten by moths")
    steward = checkpointer(store)
    assert list((await steward.run_pass()).refused) == [CHAIN.prefix]
    broken = (AsFound(entry.removeprefix(CHAIN.prefix), digest(b"eaten by moths")),)
    await closed(store, heads[-1], Opens(CHAIN.topic_id, 2, 10), broken=broken)
    assert (await steward.run_pass()).refused == {}
    before = store.requests.total()
    await steward.run_pass()
    assert store.requests.total() - before == 2  # the lists that find chains


@pytest.mark.parametrize("where", ["first", "second"])
@pytest.mark.parametrize("how", ["gone", "other bytes", "cut and grown again"])
async def test_a_chain_that_lost_what_was_vouched_for_gets_no_further_one(where: str, how: str) -> None:
    store, second, log = MemoryStore(), MemoryStore(), MemoryLog()
    await committed(store, log, [2, 2])
    await checkpointed(store, second)
    await (second if where == "first" else store).delete(await keys(store))  # one copy is enough
    entry = CHAIN.entry(2)
    if how == "other bytes":
        await store.put(entry, (await store.get(entry)).body.replace(b"worker-0", b"worker-1"))
    else:
        await store.delete([entry])
    if how == "cut and grown again":
        await committed(store, log, [1, 3])
    done = await checkpointed(store, second)
    assert list(done.refused) == [CHAIN.prefix]
    assert entry in done.refused[CHAIN.prefix]
    assert (done.written, done.newest) == (0, [])


async def test_a_forged_one_is_named_and_gone_by_in_nothing() -> None:
    store = MemoryStore()
    await committed(store, MemoryLog(), [2])
    await checkpointed(store)
    true = (await newest(store, CHAIN)).checkpoint
    forged = await said([store], true, OTHER, first=90, next=99)
    done = await checkpointed(store)
    assert [each.where for each in done.forged] == [f"memory/{forged}"]
    assert (done.refused, done.newest[0].checkpoint) == ({}, true)


def tampered(vouched: Vouched) -> dict[str, bytes]:
    body, true = vouched.body, vouched.checkpoint
    other = checkpoints.signed(replace(true, next=99), OTHER)
    return {
        "one digit": body.replace(b'"next":2', b'"next":3'),
        "another's signature": checkpoints.signed(true, OTHER),
        "the trusted key on another's signature": other.replace(OTHER.key.encode(), SIGNER.key.encode()),
        "unknown field outside": body.replace(b'{"checkpoint"', b'{"a":1,"checkpoint"'),
        "later format": checkpoints.signed(replace(true, format=2), SIGNER),
        "no JSON": body[:-1],
        "no Base64": body.replace(b'"signature":"', b'"signature":"*'),
        "nothing": b"",
        "deep": b"[" * 100_000,
    }


TAMPERED = (
    *("one digit", "another's signature", "the trusted key on another's signature"),
    *("unknown field outside", "later format", "no JSON", "no Base64", "nothing", "deep"),
)


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_was_tampered_with_is_forged(how: str) -> None:
    store = MemoryStore()
    await committed(store, MemoryLog(), [2])
    await checkpointed(store)
    true = await newest(store, CHAIN)
    assert opened(true.body, "", SIGNER.trust) == true._replace(where="")
    assert isinstance(opened(tampered(true)[how], "", SIGNER.trust), Forged)


async def test_names_are_read_as_they_are_written() -> None:
    for first in (0, 7, 10**20 - 1):
        assert place(key_of(CHAIN, first)) == (CHAIN, first)
    key = key_of(CHAIN, 7)
    for other in (key[:-5], key + "x", key.replace(f"-{7:020d}", f"-{8:020d}"), "checkpoints/v1/x"):
        assert place(other) is None


async def test_its_digest_is_of_the_bytes_that_are_stored() -> None:
    store = MemoryStore()
    await committed(store, MemoryLog(), [2])
    await checkpointed(store)
    found = (await newest(store, CHAIN)).checkpoint
    assert found.sha256 == digest((await store.get(CHAIN.entry(found.first))).body)
