"""Reading chains of any length: few requests, folds that only help, and faults in a chain that are named."""

import json
import math
from collections import Counter

import msgspec
import pytest

from tests.contract.policy.world import Topics, by, neighbours, set_up, writer
from topics.write_keys import KeyState, WriteKey
from workers.errors import Fatal
from workers.ledger import policy_entries as entries
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_commands import add_key, new_key
from workers.ledger.policy_entries import FOLD_EVERY, entry_name, fold_name
from workers.ledger.policy_kinds import WRITE_KEYS
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

KEYS = neighbours(3)
LENGTHS = [0, 1, 63, 64, 65, 127, 128, 129, 300]


def chain_over(store: MemoryStore) -> PolicyChain[WriteKey]:
    return PolicyChain(store, WRITE_KEYS, retry=Retry(attempts=1))


def value(key: str, state: KeyState = KeyState.ACTIVE, reason: str = "") -> WriteKey:
    return WriteKey(
        key=key, workspace="acme", source="web", state=state, reason=reason, changed_at=1, shard=0, seq=0
    )


async def grown(length: int) -> MemoryStore:
    """Shard 7 with so many entries, a key each."""
    store = MemoryStore()
    chain = chain_over(store)
    for key in neighbours(length):
        await chain.change({key: lambda before, key=key: value(key)}, by())  # type: ignore[misc]  # key's type
    store.requests.clear()
    return store


async def spent(store: MemoryStore) -> Counter[str]:
    """What a cold process asks for to know shard 7."""
    store.requests.clear()
    await chain_over(store).fold(7)
    return store.requests.copy()


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_cold_reader_knows_every_key(length: int) -> None:
    store = await grown(length)
    fold = await chain_over(store).fold(7)
    assert fold.seq == length
    assert set(fold.states) == set(neighbours(length))
    assert (await chain_over(store).replay(7)) == (fold, [])


@pytest.mark.parametrize("length", LENGTHS)
async def test_a_reader_asks_for_no_more_than_it_says(length: int) -> None:
    store = await grown(length)
    cold = await spent(store)
    lists = 1 if length < FOLD_EVERY else 3 + 2 * math.ceil(math.log2(length / FOLD_EVERY))
    assert cold["list"] <= lists
    assert cold["get"] <= 2 + 2 * FOLD_EVERY
    chain = chain_over(store)
    await chain.fold(7)
    store.requests.clear()
    await chain.fold(7)
    assert store.requests == {"list": 1}


async def test_a_change_of_a_known_shard_is_one_list_and_one_put() -> None:
    store = await grown(10)
    chain = chain_over(store)
    await chain.fold(7)
    store.requests.clear()
    await chain.change({"key-0": lambda before: None}, by())
    await chain.change({neighbours(11)[10]: lambda before: value(neighbours(11)[10])}, by())
    assert store.requests["put"] == 1
    assert store.requests["get"] == 0


async def test_keys_of_one_fleet_are_listed_with_few_requests() -> None:
    store = MemoryStore()
    books = writer(store, Topics())
    await set_up(books)
    keys = {new_key() for _ in range(20)}
    for key in keys:
        await add_key(books, key, "acme", "web", by())
    store.requests.clear()
    assert set(await chain_over(store).everything()) == keys
    assert store.requests["list"] <= 1 + 20


async def test_a_fleet_beyond_a_page_of_names_is_read_whole() -> None:
    store = MemoryStore()
    chain = chain_over(store)
    for number in range(1_100):
        key = f"many-{number}"
        await chain.change({key: lambda before, key=key: value(key)}, by())  # type: ignore[misc]  # key's type
    assert len(await chain_over(store).everything()) == 1_100


async def test_without_a_fold_the_one_before_it_or_the_chain_serves() -> None:
    store = await grown(200)
    with_folds = await spent(store)
    await store.delete([fold_name("write-keys", 7, 192)])
    assert (await spent(store))["get"] > with_folds["get"]
    await store.delete([fold_name("write-keys", 7, 128), fold_name("write-keys", 7, 64)])
    assert (await spent(store))["get"] >= 200
    assert set((await chain_over(store).fold(7)).states) == set(neighbours(200))


@pytest.mark.parametrize("lie", ["digest", "garbage", "values", "place"])
async def test_a_fold_that_its_entry_does_not_vouch_for_is_not_believed(lie: str) -> None:
    store = await grown(130)
    name = fold_name("write-keys", 7, 128)
    fold = json.loads((await store.get(name)).body)
    match lie:
        case "digest":
            fold |= {"digest": "0" * 64, "states": []}
        case "values":
            fold |= {"states": [{"v": 1}]}
        case "place":
            fold |= {"shard": 8, "states": []}
    await store.put(name, b"{" if lie == "garbage" else json.dumps(fold).encode())
    assert set((await chain_over(store).fold(7)).states) == set(neighbours(130))


async def test_unknown_fields_survive_changes_and_folds() -> None:
    store = MemoryStore()
    chain = chain_over(store)
    newer = msgspec.structs.replace(value(KEYS[0]), extra={"later": msgspec.Raw(b"[1.50]")})
    await chain.change({KEYS[0]: lambda before: newer}, by())
    for key in neighbours(2 * FOLD_EVERY)[1:]:
        await chain.change({key: lambda before, key=key: value(key)}, by())  # type: ignore[misc]  # key's type
    found = await chain_over(store).get(KEYS[0])
    assert found is not None
    assert bytes(found.extra["later"]) == b"[1.50]"


@pytest.mark.parametrize("length", [10, 150])
async def test_a_deleted_entry_is_named(length: int) -> None:
    store = await grown(length)
    for seq in (1, length - 2):
        name = entry_name("write-keys", 7, seq)
        body = (await store.get(name)).body
        await store.delete([name])
        with pytest.raises(Fatal, match=f"{name}: it is missing"):
            await chain_over(store).replay(7)
        await store.put(name, body)


async def test_a_changed_entry_is_named_by_the_one_after_it() -> None:
    store = await grown(10)
    name = entry_name("write-keys", 7, 4)
    body = (await store.get(name)).body
    await store.put(name, body.replace(b'"active"', b'"abused"'))
    with pytest.raises(Fatal, match=f"{entry_name('write-keys', 7, 5)}.*does not name the entry before it"):
        await chain_over(store).fold(7)


async def test_a_foreign_object_among_the_entries_is_named() -> None:
    store = await grown(3)
    await store.put("policy/v1/write-keys/007/note.txt", b"hello")
    with pytest.raises(Fatal, match=r"note\.txt"):
        await chain_over(store).fold(7)


async def test_a_value_of_a_newer_version_stops_a_change_with_what_to_do() -> None:
    store = await grown(1)
    name = entry_name("write-keys", 7, 1)
    body = (await store.get(name)).body.replace(b'"v":1', b'"v":2')
    await store.put(name, body)
    with pytest.raises(Fatal, match=f"{name}.*version 1: upgrade"):
        await chain_over(store).fold(7)


async def test_replay_finds_a_change_that_had_to_be_refused() -> None:
    """Somebody wrote to the bucket past this program: a revoked key is active again."""
    store = MemoryStore()
    chain = chain_over(store)
    key = KEYS[0]
    await chain.change({key: lambda before: value(key)}, by())
    await chain.change({key: lambda before: value(key, KeyState.REVOKED, "leaked")}, by())
    second = (await store.get(entry_name("write-keys", 7, 2))).body
    forged = entries.decode_entry(second, "write-keys", 7, 2)
    forged = msgspec.structs.replace(
        forged,
        seq=3,
        previous=entries.digest(second),
        changes=(msgspec.structs.replace(forged.changes[0], after=forged.changes[0].before),),
    )
    await store.put(entry_name("write-keys", 7, 3), entries.encode(forged))
    findings = (await chain_over(store).replay(7))[1]
    assert len(findings) == 2
    assert "000000000003.json" in findings[0]
    assert "did not stand as the change says" in findings[0]
    assert f"{key} is revoked and can't become active" in findings[1]
