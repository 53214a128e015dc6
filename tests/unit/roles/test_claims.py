"""A claim asks the log that it was made for, and follows the group's hint to the head."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest

from tests.unit.ledger.world import WRITER, MemoryLog, committed, log_id, retry
from workers.errors import Retryable
from workers.ledger.halts import Halted
from workers.roles.claims import Claims
from workers.store.memory import MemoryStore

TOPIC, TOPIC_ID = log_id()[:2]


@dataclass
class Extent:
    topic_id: str
    bounds: Mapping[int, tuple[int, int]]


@dataclass
class Kafka:
    """One topic of one partition."""

    log: MemoryLog
    topic_id: str = TOPIC_ID

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        return dict.fromkeys(topics, self.topic_id)

    async def extent(self, topic: str, partitions: frozenset[int] | None = None) -> Extent:
        return Extent(self.topic_id, {0: await self.log.bounds()})

    async def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        return await self.log.record(offset)


@dataclass
class Group:
    left: dict[int, tuple[int, str]] = field(default_factory=dict)

    async def hints(self, partitions: Iterable[int]) -> dict[int, tuple[int, str]]:
        return self.left


async def claims_on(kafka: Kafka, store: MemoryStore) -> Claims:
    return await Claims.on(TOPIC, kafka, store, WRITER, retry(), lambda: 1)


@pytest.mark.parametrize("hint", ["", "nonsense", "right"])
async def test_a_claim_goes_on_at_the_head_whatever_the_group_says(hint: str) -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [3] * 20)
    claims = await claims_on(Kafka(log), store)
    claims.stream = Group({0: (1, str(heads[-1].hint) if hint == "right" else hint)})
    before = store.requests.total()
    assert await claims(0) == heads[-1]
    if hint == "right":
        # two lists of chains, genesis, the hinted entry, none listed behind it
        assert store.requests.total() - before == 5


async def test_a_topic_made_anew_is_not_archived_under_the_old_ones_chain() -> None:
    store, kafka = MemoryStore(), Kafka(MemoryLog())
    claims = await claims_on(kafka, store)
    await claims(0)
    kafka.topic_id = "another"
    kafka.log.produce([b"{}"] * 5)
    with pytest.raises(Retryable, match="made anew"):
        await claims(0)
    again = await claims_on(kafka, store)
    with pytest.raises(Halted) as halted:
        await again(0)
    assert halted.value.cause == "topic_recreated"
