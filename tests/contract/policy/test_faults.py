"""One fault at a time: what a policy writer makes of it, and what it says."""

from collections.abc import AsyncIterator

import pytest

from tests.contract.policy.world import Topics, by, impatient, neighbours, set_up, writer
from topics.write_keys import KeyState
from workers.errors import Fatal, Poison, Retryable
from workers.intake.key_states import Refused
from workers.ledger.policy_book import Unpublished
from workers.ledger.policy_commands import Books, add_key, revoke_key, rotate_key, set_workspace
from workers.ledger.policy_entries import entry_name, published_name
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import Stat

KEY = neighbours(1)[0]
FIRST = entry_name("write-keys", 7, 1)
AWAY = Retryable("Kafka is away", remedy="Try again")
SECOND = entry_name("write-keys", 7, 2)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def topics() -> Topics:
    return Topics()


@pytest.fixture
async def books(store: MemoryStore, topics: Topics) -> Books:
    books = writer(store, topics, impatient())
    await set_up(books)
    return books


@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOST_RESPONSE,
        Fault.OWN_WRITE_REFUSED,
        Fault.CONFLICT,
        Fault.UNAVAILABLE,
        Fault.TIMED_OUT,
        Fault.DENIED,
    ],
)
async def test_a_change_is_written_once_whatever_the_put_says(
    store: MemoryStore, topics: Topics, books: Books, fault: Fault
) -> None:
    rule = store.faults.add(fault, operation="put", key="policy/v1/write-keys/*")
    added = await add_key(books, KEY, "acme", "web", by())
    assert rule.hits == 1
    assert added.seq == 1
    assert [stat.key async for stat in store.list("policy/v1/write-keys/")] == [FIRST]
    assert topics.followed() == {KEY: added}


async def test_a_late_write_of_ours_is_ours(store: MemoryStore, topics: Topics, books: Books) -> None:
    """It timed out, was sent again, and both arrive: one entry, and nobody is told no."""
    store.faults.add(Fault.LATE_WRITE, operation="put", key=FIRST, lands_after=1)
    added = await add_key(books, KEY, "acme", "web", by())
    store.land_late_writes()
    assert (await writer(store, topics).keys.chain.get(KEY)) == added
    assert added.seq == 1


async def test_a_store_that_stays_away_is_said_and_nothing_is_half_done(
    store: MemoryStore, topics: Topics, books: Books
) -> None:
    store.faults.add(Fault.UNAVAILABLE, operation="put", key="policy/v1/write-keys/*", times=None)
    with pytest.raises(Retryable) as away:
        await add_key(writer(store, topics), KEY, "acme", "web", by())
    assert not isinstance(away.value, Unpublished)
    store.faults.clear()
    assert await books.keys.chain.get(KEY) is None
    assert topics.followed() == {}


async def test_an_entry_that_is_refused_and_never_found_stops_everything(
    store: MemoryStore, books: Books
) -> None:
    store.faults.add(Fault.REFUSED, operation="put", key=FIRST, times=None)
    with pytest.raises(Fatal, match="deletes ledger entries"):
        await add_key(books, KEY, "acme", "web", by())


async def test_a_change_that_kafka_did_not_take_is_said_and_published_by_the_next_command(
    store: MemoryStore, topics: Topics, books: Books
) -> None:
    first, second = neighbours(2)
    await add_key(books, first, "acme", "web", by())
    topics.down = AWAY
    with pytest.raises(Unpublished, match=r"stands in the policy chain.*strongroom policy publish") as said:
        await revoke_key(books, first, by("leaked"))
    assert said.value.exit_code == 3
    assert topics.followed()[first].state is KeyState.ACTIVE
    topics.down = None
    await add_key(writer(store, topics), second, "acme", "web", by())
    assert topics.followed()[first].state is KeyState.REVOKED


async def test_a_change_that_kafka_will_never_take_says_both_remedies(topics: Topics, books: Books) -> None:
    topics.down = Fatal("topic eu.write-keys does not exist", remedy="Create it")
    with pytest.raises(Fatal, match=r"stands in the policy chain.*does not exist.*Create it.*policy publish"):
        await add_key(books, KEY, "acme", "web", by())


@pytest.mark.parametrize("repeat", ["the same", "refused"])
async def test_repeating_a_command_that_died_publishes_what_it_wrote(
    store: MemoryStore, topics: Topics, books: Books, repeat: str
) -> None:
    await add_key(books, KEY, "acme", "web", by())
    topics.down = AWAY
    with pytest.raises(Unpublished):
        await revoke_key(books, KEY, by("leaked"))
    topics.down = None
    again = writer(store, topics)
    if repeat == "the same":
        await revoke_key(again, KEY, by("leaked"))
    else:
        with pytest.raises(Refused):
            await add_key(again, KEY, "acme", "web", by())
    assert topics.followed()[KEY].state is KeyState.REVOKED
    assert len(topics.of("write-keys")) == 2


async def test_publish_missing_publishes_what_is_missing_and_no_more(
    store: MemoryStore, topics: Topics, books: Books
) -> None:
    await add_key(books, KEY, "acme", "web", by())
    sent = len(topics.log)
    assert await writer(store, topics).keys.publish_missing() == 0
    assert len(topics.log) == sent
    await store.delete([published_name("write-keys", 7)])  # as if nobody had got so far
    assert await writer(store, topics).keys.publish_missing() == 1
    assert await writer(store, topics).keys.publish_missing() == 0


async def test_a_chain_that_was_restored_to_less_than_was_published_is_published_again(
    store: MemoryStore, topics: Topics, books: Books
) -> None:
    await add_key(books, KEY, "acme", "web", by())
    await revoke_key(books, KEY, by("leaked"))
    await store.delete([SECOND])
    topics.log.clear()
    assert await writer(store, topics).keys.publish_missing() == 1
    assert set(topics.followed()) == {KEY}


async def test_each_change_is_on_the_audit_topic_with_who_and_why(
    store: MemoryStore, topics: Topics, books: Books
) -> None:
    await add_key(books, KEY, "acme", "web", by("launch"))
    await revoke_key(books, KEY, by("leaked"))
    records = [record for record in topics.audit() if record["subject"] == KEY]
    assert [(r["id"], r["action"], r["why"], r["who"], r["workspace"]) for r in records] == [
        ("write-keys/7/1/0", "write-keys.active", "launch", "ann@desk", "acme"),
        ("write-keys/7/2/0", "write-keys.revoked", "leaked", "ann@desk", "acme"),
    ]
    assert (records[1]["before"]["state"], records[1]["after"]["state"]) == ("active", "revoked")
    assert records[0]["before"] is None
    assert [r["action"] for r in topics.audit() if r["subject"] == "acme"] == ["workspaces.set"]


async def test_what_is_refused_writes_nothing(store: MemoryStore, topics: Topics, books: Books) -> None:
    puts, sent = store.requests["put"], len(topics.log)
    for refused, words in (
        (add_key(books, KEY, "nobody", "web", by()), "no workspace nobody.*workspaces set nobody"),
        (add_key(books, KEY, "acme", "app", by()), "no source app; it has web"),
        (add_key(books, KEY, "_platform", "web", by()), "underscore"),
        (add_key(books, "two words", "acme", "web", by()), "visible ASCII"),
        (revoke_key(books, KEY, by("leaked")), "not registered.*can become: active"),
        (revoke_key(books, KEY, by(" ")), "without a reason"),
        (rotate_key(books, KEY, "new", 1, by()), "not registered"),
        (rotate_key(books, KEY, KEY, 1, by()), "to itself"),
        (rotate_key(books, KEY, "new", -1, by()), "negative"),
    ):
        with pytest.raises(Poison, match=words):
            await refused
    await set_workspace(books, "acme", lambda before: before, by())  # changes nothing
    assert (store.requests["put"], len(topics.log)) == (puts, sent)


async def test_a_list_that_lags_behind_costs_a_try_and_no_more(topics: Topics) -> None:
    """Some stores list what was written only later. Their conditional PUT tells the truth."""
    store = LaggingStore()
    first, second = neighbours(2)
    await set_up(writer(store, topics))
    stale = writer(store, topics)
    await add_key(writer(store, topics), first, "acme", "web", by())
    store.hidden = FIRST
    added = await add_key(stale, second, "acme", "web", by())
    assert added.seq == 2
    await revoke_key(stale, first, by("leaked"))
    with pytest.raises(Refused, match="is revoked"):
        await rotate_key(stale, first, "new", 1, by())


class LaggingStore(MemoryStore):
    """Does not list one object, and anything after it."""

    hidden = "~"

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        async for stat in super().list(prefix, after=after, limit=limit):
            if stat.key >= self.hidden and stat.key.startswith("policy/v1/write-keys/"):
                return
            yield stat
