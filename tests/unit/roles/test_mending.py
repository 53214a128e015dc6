"""The steward publishes what a policy command left unpublished, and never an older state over a newer one."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from tests.contract.policy.world import Spot, Topics, by, set_up, writer
from workers.errors import Fatal, Retryable
from workers.ledger import policy_shards
from workers.ledger.policy_book import Unpublished
from workers.ledger.policy_commands import Books, add_key, revoke_key
from workers.ledger.policy_entries import entry_name, published_name, shard_of
from workers.ledger.policy_logs import PolicyLogs
from workers.observe import metrics
from workers.roles.mending import Mending
from workers.store.memory import MemoryStore
from workers.store.retry import Retry


class World:
    """A key of a fleet, whose revocation dies at will between the bucket and Kafka."""

    def __init__(self) -> None:
        self.store, self.topics = MemoryStore(), Topics()
        self.ids: dict[str, str] | Retryable = {"write-keys": "k", "workspaces": "w", "origin-verdicts": "v"}
        self.opened = 0
        self.steps = 0

    @asynccontextmanager
    async def books(self) -> AsyncIterator[Books]:
        self.opened += 1
        yield writer(self.store, self.topics)

    def steward(self) -> Mending:
        return Mending(self.store, Retry(attempts=1), self.books, self._ids, self._step)

    async def _ids(self) -> dict[str, str]:
        if isinstance(self.ids, Retryable):
            raise self.ids
        return self.ids

    def lose(self, topic: str, again: str) -> None:
        """The topic is made anew, with this id and no record."""
        assert isinstance(self.ids, dict)
        self.ids = {**self.ids, topic: again}
        self.topics.log = [each for each in self.topics.log if each[0] != f"eu.{topic}"]

    def _step(self) -> None:
        self.steps += 1

    async def add(self, *keys: str) -> None:
        books = writer(self.store, self.topics)
        await set_up(books)
        for key in keys:
            await add_key(books, key, "acme", "web", by("launch"))

    async def dies_between(self, key: str) -> None:
        self.topics.down = Retryable("no brokers", remedy="start them")
        with pytest.raises(Unpublished):
            await revoke_key(writer(self.store, self.topics), key, by("leaked"))
        self.topics.down = None

    def state(self, key: str) -> str:
        state: str = self.topics.compacted("write-keys")[key]["state"]
        return state


def unpublished(topic: str = "write-keys") -> float:
    value = metrics.REGISTRY.get_sample_value("strongroom_policy_unpublished", {"topic": topic})
    return value or 0.0


async def test_a_revocation_that_died_between_bucket_and_kafka_is_published_at_the_second_look() -> None:
    world = World()
    await world.add("k1", "k2")
    steward = world.steward()
    await world.dies_between("k1")
    await steward.look()
    assert (world.state("k1"), world.opened) == ("active", 0)  # it may be a command that is under way
    with capture_logs() as logged:
        await steward.look()
    assert (world.state("k1"), world.state("k2")) == ("revoked", "active")
    assert [(line["why"], line["who"]) for line in world.topics.audit()][-1] == ("leaked", "ann@desk")
    assert [(line["event"], line["values"]) for line in logged] == [("policy_mended", 1)]
    assert unpublished() == 0
    before = len(world.topics.log)
    for _ in range(3):
        await steward.look()
    assert (world.opened, len(world.topics.log)) == (1, before)


async def test_while_nothing_is_missing_kafka_is_not_called_and_two_lists_a_topic_are_all() -> None:
    world = World()
    await world.add("k1", "k2", "k3")
    steward = world.steward()
    await steward.look()
    asked = await steward.look()
    assert (asked, world.opened) == (3 * 2, 0)


async def test_kafka_or_a_broken_shard_ends_no_steward_and_hinders_no_other() -> None:
    world = World()
    await world.add("k1", "k2")
    assert shard_of("k1") != shard_of("k2")
    for key in ("k1", "k2"):
        await world.dies_between(key)
    steward = world.steward()
    await steward.look()
    for down in (Retryable("no brokers", remedy="start them"), Fatal("no right to write", remedy="grant it")):
        world.topics.down = down
        with capture_logs() as logged:
            await steward.look()
        assert {line["event"] for line in logged} == {"policy_unpublished"}
        assert unpublished() == 2
    world.topics.down = None
    await world.store.put(entry_name("write-keys", shard_of("k1"), 2), b"garbage")
    with capture_logs() as logged:
        await steward.look()
    assert {(line["event"], line["shard"]) for line in logged} == {
        ("policy_unpublished", shard_of("k1")),
        ("policy_mended", shard_of("k2")),
    }
    assert (world.state("k2"), unpublished()) == ("revoked", 1)


async def test_a_steward_that_was_suspended_publishes_no_older_state_last() -> None:
    """It stands before Kafka with the old state in hand, while a command revokes, publishes and ends."""
    world = World()
    world.topics.down = Retryable("no brokers", remedy="start them")
    with pytest.raises(Unpublished):
        await set_up(writer(world.store, world.topics))
    with pytest.raises(Unpublished):
        await add_key(writer(world.store, world.topics), "k1", "acme", "web", by())
    world.topics.down = None
    steward = world.steward()
    await steward.look()
    sending, resumed = asyncio.Event(), asyncio.Event()

    class Suspended(Topics):
        async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Spot:
            if key == b"k1" and not resumed.is_set():
                sending.set()
                await resumed.wait()
            return await world.topics.send_and_wait(topic, key, value)

    @asynccontextmanager
    async def books() -> AsyncIterator[Books]:
        yield writer(world.store, Suspended())

    steward._books = books
    look = asyncio.create_task(steward.look())
    await sending.wait()
    await revoke_key(writer(world.store, world.topics), "k1", by("leaked"))
    resumed.set()
    await look
    sent = [json.loads(value)["state"] for value in world.topics.of("write-keys")]
    assert sent[-2:] == ["active", "revoked"]
    assert world.state("k1") == "revoked"


async def test_what_a_suspended_writer_undid_and_then_died_is_published_again() -> None:
    """Its mark stands behind the chain's end, where the steward had seen a later one."""
    world = World()
    await world.add("k1")
    name = published_name("write-keys", shard_of("k1"))
    old = (await world.store.get(name)).body
    active = world.topics.of("write-keys")[-1]
    await revoke_key(writer(world.store, world.topics), "k1", by("leaked"))
    steward = world.steward()
    await steward.look()
    await world.topics.send_and_wait("eu.write-keys", b"k1", active)
    await world.store.put(name, old)
    assert world.state("k1") == "active"
    await steward.look()
    assert world.state("k1") == "revoked"


async def test_of_a_large_fleet_each_shard_is_asked_for_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_shards, "PAGE", 3)
    world = World()
    await world.add("k1", "k2", "k3", "k4")
    steward = world.steward()
    await world.dies_between("k3")
    await steward.look()
    assert world.state("k3") == "active"
    await steward.look()
    assert world.state("k3") == "revoked"


async def test_of_a_topic_that_was_made_anew_all_is_published_again_once_and_nothing_is_audited_twice() -> (
    None
):
    world = World()
    await world.add("k1", "k2")
    await revoke_key(writer(world.store, world.topics), "k1", by("leaked"))
    await world.steward().look()  # another one may have said which topics there are
    audited, workspaces = world.topics.audit(), world.topics.of("workspaces")
    world.lose("write-keys", "k again")
    steward = world.steward()
    with capture_logs() as logged:
        await steward.look()
    assert [(line["event"], line["topic"], line["values"]) for line in logged] == [
        ("policy_published_anew", "write-keys", 2)
    ]
    assert (world.state("k1"), world.state("k2")) == ("revoked", "active")
    assert (world.topics.audit(), world.topics.of("workspaces")) == (audited, workspaces)
    before = len(world.topics.log)
    for again in (steward, world.steward()):
        await again.look()
    assert (world.opened, len(world.topics.log)) == (1, before)


async def test_what_died_amid_it_is_published_from_the_beginning() -> None:
    world = World()
    await world.add("k1", "k2")
    await world.steward().look()
    world.lose("write-keys", "k again")
    world.topics.down = Retryable("no brokers", remedy="start them")
    with capture_logs() as logged:
        await world.steward().look()
    assert {line["event"] for line in logged} == {"policy_unpublished"}
    world.topics.down = None
    await world.steward().look()
    assert (world.state("k1"), world.state("k2")) == ("active", "active")


async def test_while_kafka_does_not_say_which_topics_it_has_that_is_told_once_and_marks_are_looked_at() -> (
    None
):
    world = World()
    await world.add("k1")
    steward, ids = world.steward(), world.ids
    await steward.look()
    await world.dies_between("k1")
    world.ids = Retryable("no brokers", remedy="start them")
    with capture_logs() as logged:
        await steward.look()
        await steward.look()
    assert [line["event"] for line in logged] == ["policy_unpublished", "policy_mended"]
    assert world.state("k1") == "revoked"
    world.ids = ids
    world.lose("write-keys", "k again")
    await steward.look()
    assert world.state("k1") == "revoked"


async def test_who_decides_by_policy_does_not_start_before_a_topic_that_was_made_anew_has_it() -> None:
    world = World()
    logs = PolicyLogs(world.store, Retry(attempts=1))
    await logs.check(await world._ids())  # nobody has said anything yet
    await world.steward().look()
    await logs.check(await world._ids())
    world.lose("origin-verdicts", "v again")
    with pytest.raises(Fatal, match="made anew since policy was published to it: origin-verdicts") as refused:
        await logs.check(await world._ids())
    assert "policy publish" in refused.value.remedy
    await world.steward().look()
    await logs.check(await world._ids())
