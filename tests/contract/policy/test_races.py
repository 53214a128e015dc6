"""Writers at every interleaving that a seed draws: a revocation stands, in the chain and on the topic."""

import asyncio
import json
import random
from collections import Counter

import pytest

from tests.contract.policy.world import NOW, PREFIX, Spot, Topics, by, impatient, set_up, shuffled, writer
from topics.write_keys import KeyState, WriteKey
from workers.intake.key_states import Refused
from workers.ledger.policy_commands import abuse_key, add_key, revoke_key, rotate_key
from workers.ledger.policy_entries import shard_of
from workers.store.faults import Faults
from workers.store.memory import MemoryStore

FINAL = {KeyState.REVOKED, KeyState.ABUSED}
DAY_MS = 86_400_000
SEEDS = range(150)


async def prepared(seed: int, faults: Faults | None = None) -> tuple[MemoryStore, Topics]:
    """A store and topics whose turns the seed decides, with `old` registered."""
    store = MemoryStore(turn=shuffled(seed), faults=faults)
    topics = Topics(shuffled(seed + 1))
    books = writer(store, topics)
    await set_up(books)
    await add_key(books, "old", "acme", "web", by("launch"))
    return store, topics


async def check_stands(store: MemoryStore, topics: Topics, state: KeyState) -> None:
    """In the chain, for workers that followed, and for those that start after compaction."""
    chain = writer(store, topics).keys.chain
    standing = await chain.get("old")
    assert standing is not None
    assert standing.state is state
    assert topics.followed()["old"] == standing
    assert topics.compacted("write-keys")["old"]["state"] == state
    assert (await chain.replay(shard_of("old")))[1] == []


@pytest.mark.parametrize("seeds", [range(first, first + 100) for first in range(0, 1000, 100)])
async def test_of_a_thousand_races_of_rotations_and_a_revocation_the_revocation_stands(seeds: range) -> None:
    """They are interleaved anew at each request to the store and to Kafka; a failing seed is named."""
    refused = Counter[int]()
    for seed in seeds:
        try:
            refused[await rotations_refused(seed)] += 1
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    # one of the two always comes too late, and at times, but not always, both do
    assert min(refused[1], refused[2]) >= len(seeds) / 5


async def rotations_refused(seed: int) -> int:
    """One race: how many of its two rotations came too late."""
    store, topics = await prepared(seed)
    delay = random.Random(seed).randrange(200)

    async def revoked() -> WriteKey:
        for _ in range(delay):  # a rotation makes its new key first
            await asyncio.sleep(0)
        return await revoke_key(writer(store, topics), "old", by("leaked"))

    rotation, revocation, other = await asyncio.gather(
        rotate_key(writer(store, topics), "old", "new", DAY_MS, by("yearly")),
        revoked(),
        rotate_key(writer(store, topics), "old", "new2", DAY_MS, by("yearly")),
        return_exceptions=True,
    )
    assert not isinstance(revocation, BaseException)
    refused = [outcome for outcome in (rotation, other) if isinstance(outcome, BaseException)]
    for refusal in refused:
        assert isinstance(refusal, Refused), refusal
        assert refusal.remedy.startswith(("Revoked is final", "From here it can become: abused, revoked"))
    await check_stands(store, topics, KeyState.REVOKED)
    return len(refused)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_same_when_the_store_fails_in_every_way_that_may_pass(seed: int) -> None:
    faults = Faults(seed)
    store, topics = await prepared(seed, faults)
    rule = faults.storm(0.3)
    outcomes = await asyncio.gather(
        rotate_key(writer(store, topics, impatient()), "old", "new", DAY_MS, by("yearly")),
        revoke_key(writer(store, topics, impatient()), "old", by("leaked")),
        return_exceptions=True,
    )
    faults.clear()
    store.land_late_writes()
    assert rule.hits
    assert not isinstance(outcomes[1], BaseException), outcomes[1]
    await check_stands(store, topics, KeyState.REVOKED)


@pytest.mark.parametrize("seed", range(50))
async def test_of_two_final_states_one_stands_and_the_other_is_refused(seed: int) -> None:
    store, topics = await prepared(seed)
    outcomes = await asyncio.gather(
        revoke_key(writer(store, topics), "old", by("leaked")),
        abuse_key(writer(store, topics), "old", by("copied")),
        return_exceptions=True,
    )
    refused = [isinstance(outcome, Refused) for outcome in outcomes]
    assert sorted(refused) == [False, True]
    await check_stands(store, topics, KeyState.ABUSED if refused[0] else KeyState.REVOKED)


@pytest.mark.parametrize("seed", range(50))
async def test_writers_that_die_anywhere_leave_what_the_next_command_mends(seed: int) -> None:
    """Cancelled at a random turn, as a killed process: no half of a change, nothing stays unpublished."""
    store, topics = await prepared(seed)
    rng = random.Random(seed)
    doomed = asyncio.gather(
        revoke_key(writer(store, topics), "old", by("leaked")),
        rotate_key(writer(store, topics), "old", "new", DAY_MS, by("yearly")),
        return_exceptions=True,
    )
    for _ in range(rng.randrange(150)):
        await asyncio.sleep(0)
    doomed.cancel()
    await asyncio.gather(doomed, return_exceptions=True)

    await revoke_key(writer(store, topics), "old", by("leaked", NOW + 1))
    await check_stands(store, topics, KeyState.REVOKED)
    books = writer(store, topics)
    await books.keys.publish_missing()
    assert topics.followed() == await books.keys.chain.everything()


class Paused:
    """A publisher that stops before it sends that a key is retiring, until it may go on."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Spot:
        if topic == f"{PREFIX}write-keys" and b'"retiring"' in value:
            self.reached.set()
            await self.go_on.wait()
        return await self.topics.send_and_wait(topic, key, value)


async def test_a_writer_that_was_paused_before_publishing_does_not_bring_a_key_back() -> None:
    """Its older value comes last in Kafka, where compaction would keep it, unless it looks again."""
    store, topics = await prepared(0)
    slow = Paused(topics)
    rotating = asyncio.create_task(rotate_key(writer(store, slow), "old", "new", DAY_MS, by("yearly")))
    await slow.reached.wait()
    await revoke_key(writer(store, topics), "old", by("leaked"))
    assert topics.compacted("write-keys")["old"]["state"] == "revoked"
    slow.go_on.set()
    await rotating
    values = [json.loads(value) for value in topics.of("write-keys")]
    states = [value["state"] for value in values if value["key"] == "old"]
    assert states[-2:] == ["retiring", "revoked"]  # the late one, and after it the truth
    await check_stands(store, topics, KeyState.REVOKED)
