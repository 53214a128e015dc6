"""The head of a chain is found by hint or by search, and a broken chain is never continued."""

import pytest

from tests.unit.ledger.signing import OTHER, checkpointed, newest, said
from tests.unit.ledger.world import MemoryLog, begin, committed, log_id, retry
from workers.errors import Fatal
from workers.ledger import head as module
from workers.ledger.halts import Halted
from workers.ledger.head import Hint, read_head
from workers.ledger.names import ChainId
from workers.store.memory import MemoryStore


async def test_a_new_chain_begins_at_the_logs_start() -> None:
    store, log = MemoryStore(), MemoryLog(start=7, end=7)
    assert (await begin(store, log)).next == 7


async def test_whoever_wrote_the_genesis_first_is_obeyed() -> None:
    store = MemoryStore()
    await begin(store, MemoryLog(start=7, end=9))
    # the log's start has moved on since; the chain still begins where its genesis says, so the loss is seen
    with pytest.raises(Halted) as halted:
        await begin(store, MemoryLog(start=8, end=9))
    assert halted.value.cause == "log_start_above_head"


@pytest.mark.parametrize("sizes", [[1], [1, 1], [5, 1, 70_000, 3], [1] * 40])
async def test_the_head_is_found_without_a_hint(sizes: list[int]) -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, sizes)
    assert await read_head(store, heads[0].chain, None, retry()) == heads[-1]


@pytest.mark.parametrize("name", ["1.json", "00000000000000000001.json.bak", "7", "notes.txt"])
async def test_a_name_that_no_entry_has_is_passed_over(name: str) -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [1, 2, 3])
    await store.put(heads[0].chain.prefix + name, b"{}")
    assert await read_head(store, heads[0].chain, None, retry()) == heads[-1]


async def test_a_hint_is_followed_to_the_head() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [1, 2, 3])
    assert await read_head(store, heads[0].chain, heads[1].hint, retry()) == heads[-1]


@pytest.mark.parametrize("hint", [Hint(1, "0" * 64), Hint(999, "0" * 64)])
async def test_a_hint_that_names_no_such_entry_is_not_believed(hint: Hint) -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [1, 2, 3])
    before = store.requests["list"]
    assert await read_head(store, heads[0].chain, hint, retry()) == heads[-1]
    assert store.requests["list"] > before, "the chain was not searched"


def test_hints_survive_their_text() -> None:
    hint = Hint(12, "ab" * 32)
    assert Hint.parse(str(hint)) == hint
    assert Hint.parse("") is None
    assert Hint.parse("nonsense") is None


async def test_an_entry_that_does_not_name_the_one_before_it_breaks_the_chain() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [1, 1])
    key = heads[0].chain.entry(1)
    forged = (await store.get(key)).body.replace(heads[1].digest.encode(), b"0" * 64)
    await store.put(key, forged)
    with pytest.raises(Fatal, match="does not name the entry before it"):
        await read_head(store, heads[0].chain, heads[1].hint, retry())


async def test_an_entry_that_miscounts_breaks_the_chain() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [3])
    key = heads[0].chain.entry(0)
    await store.put(key, (await store.get(key)).body.replace(b'"accepted":3', b'"accepted":2'))
    with pytest.raises(Fatal, match="counts 2 offsets"):
        await read_head(store, heads[0].chain, None, retry())


async def test_a_log_cut_below_the_head_halts() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    with pytest.raises(Halted) as halted:
        await begin(store, MemoryLog(records=log.records, end=4))
    assert halted.value.cause == "head_above_log_end"


async def test_a_log_cut_and_grown_again_halts() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    log.records[4] = b'{"n":"another"}'
    log.produce([b"{}"] * 10)
    with pytest.raises(Halted) as halted:
        await begin(store, log)
    assert halted.value.cause == "anchor_differs"


async def test_an_anchor_that_has_expired_is_no_reason_to_halt() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    log.records.clear()
    log.start = 5
    assert await begin(store, log) == heads[-1]


async def test_a_newer_incarnation_is_the_current_one() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    genesis = (await store.get(ChainId(*log_id()[:2], 1, 0).genesis)).body
    second = ChainId(*log_id()[:2], 2, 0)
    await store.put(
        second.genesis,
        genesis.replace(b'"incarnation":1', b'"incarnation":2').replace(b'"first":0', b'"first":9'),
    )
    assert await begin(store, MemoryLog(start=9, end=9)) == await read_head(store, second, None, retry())


REQUESTS = 3  # behind the genesis, for a chain of any length


@pytest.mark.parametrize("newer", [0, 1, 9])
async def test_with_a_checkpoint_the_head_is_three_requests_away(newer: int) -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [1, 70_000, 3] + [1] * 20)
    await checkpointed(store)
    head = (await committed(store, log, [1] * newer))[-1]
    before = store.requests.total()
    assert await read_head(store, head.chain, None, retry()) == head
    assert store.requests.total() - before == 1 + REQUESTS


async def test_with_the_groups_hint_it_is_two() -> None:
    store, log = MemoryStore(), MemoryLog()
    head = (await committed(store, log, [1] * 20))[-1]
    before = store.requests.total()
    assert await read_head(store, head.chain, head.hint, retry()) == head
    assert store.requests.total() - before == 1 + 2


@pytest.mark.parametrize(
    "which",
    ["forged", "nonsense", "stale", "newer than the chain", "of another incarnation", "between two entries"],
)
async def test_no_checkpoint_moves_the_head(which: str) -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [2, 2])
    await checkpointed(store)
    true = (await newest(store, heads[0].chain)).checkpoint
    heads = await committed(store, log, [2, 2])
    match which:
        case "forged":
            await said([store], true, OTHER, first=4, next=6, sha256="0" * 64)
        case "nonsense":
            await store.put(f"checkpoints/v1/raw-events/{heads[0].chain.topic_id}.1/00000/0", b"x")
        case "newer than the chain":
            await said([store], true, first=90, next=99)
        case "of another incarnation":
            await said([store], true, incarnation=2, first=90, next=99)
        case "between two entries":
            await said([store], true, first=5, next=99)
    assert await read_head(store, heads[0].chain, None, retry()) == heads[-1]
    assert (await begin(store, log)).next == heads[-1].next


async def test_a_checkpoint_does_not_hide_that_the_newest_entry_is_broken() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [2, 2])
    await checkpointed(store)
    key = heads[0].chain.entry(2)
    await store.put(key, (await store.get(key)).body.replace(b'"accepted":2', b'"accepted":1'))
    with pytest.raises(Halted):
        await read_head(store, heads[0].chain, None, retry())


async def test_a_thousand_entries_behind_a_checkpoint_are_searched_and_not_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAGE", 4)
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [1])
    await checkpointed(store)
    head = (await committed(store, log, [1] * 64))[-1]
    assert await read_head(store, head.chain, None, retry()) == head
