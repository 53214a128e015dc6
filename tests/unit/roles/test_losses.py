"""What an operator puts on record is proven by the ledger, and told on the audit topic."""

from collections.abc import Iterable

import pytest

from tests.unit.ledger.world import TOPIC_ID, MemoryLog, committed, retry
from topics.audit import codec
from workers.by import By
from workers.errors import Fatal, Poison, Retryable
from workers.ledger.entries import AsFound
from workers.ledger.fleet import Fleet, enroll
from workers.ledger.losses import Loss
from workers.ledger.standing import standings
from workers.roles.losses import Losses
from workers.store.memory import MemoryStore
from workers.stream.log import Extent

BY = By("ann", "bastion", "retention was too short", now=1_764_000_000_000)


class Cluster:
    """Kafka as the command sees it, with one partition."""

    def __init__(self, log: MemoryLog, offset: tuple[int, str] | None = None) -> None:
        self.log, self.offset = log, offset
        self.topics = {"raw-events": TOPIC_ID, "audit": "of-audit"}
        self.id = "cluster"

    async def cluster_id(self) -> str:
        return self.id

    async def topic_ids(self, topics: Iterable[str]) -> dict[str, str]:
        if missing := set(topics) - self.topics.keys():
            raise Fatal(f"topic {missing} does not exist")
        return {topic: self.topics[topic] for topic in topics}

    async def extent(self, topic: str, partitions: frozenset[int] | None = None) -> Extent:
        return Extent(self.topics[topic], {0: await self.log.bounds()})

    async def record(self, topic: str, partition: int, offset: int) -> bytes | None:
        return await self.log.record(offset)

    async def group_offset(self, partition: int) -> tuple[int, str] | None:
        return self.offset

    async def first_record(self, partition: int, first: int, end: int) -> int | None:
        return await self.log.first_record(first, end)


class Audit:
    def __init__(self) -> None:
        self.records: list[tuple[str, bytes | None, bytes]] = []
        self.fails: Exception | None = None

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> None:
        if self.fails:
            raise self.fails
        self.records.append((topic, key, value))


async def losses_of(store: MemoryStore, cluster: Cluster) -> Losses:
    return await Losses.of(
        store,
        cluster,
        cluster,
        group="archive",
        topic="raw-events",
        partition=0,
        audit_topic="audit",
        retry=retry(),
    )


async def cut() -> tuple[MemoryStore, Cluster]:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    return store, Cluster(MemoryLog(start=9, end=9))


async def found(losses: Losses) -> Loss:
    loss = await losses.look()
    assert loss is not None
    return loss


async def names(store: MemoryStore) -> list[str]:
    return [stat.key async for stat in store.list("")]


async def test_a_loss_on_record_is_told() -> None:
    store, cluster = await cut()
    losses, audit = await losses_of(store, cluster), Audit()
    recorded = await losses.put_on_record(await found(losses), BY, "test", audit)
    [(topic, key, value)] = audit.records
    record = codec.decode(value)
    assert (topic, key) == ("audit", b"_platform")
    assert (record.who, record.host, record.why, record.action) == (*BY[:3], "ledger.acknowledged")
    assert record.subject == "raw-events[0]"
    assert bytes(record.after) == (await store.get(recorded.key)).body
    assert [standing.state for standing in await standings(store, retry())] == ["closed", "open"]


async def test_where_nothing_can_be_told_nothing_is_written() -> None:
    store, cluster = await cut()
    losses = await losses_of(store, cluster)
    before = await names(store)
    loss = await found(losses)
    del cluster.topics["audit"]
    with pytest.raises(Fatal, match="does not exist"):
        await losses.put_on_record(loss, BY, "test", Audit())
    cluster.topics["audit"] = "of-audit"
    with pytest.raises(Poison):
        await losses.put_on_record(loss, BY._replace(why="x" * 1001), "test", Audit())
    assert await names(store) == before


@pytest.mark.parametrize("error", [Retryable("no broker"), Fatal("no right")])
async def test_the_command_repeated_completes_what_kafka_did_not_take(error: Retryable | Fatal) -> None:
    store, cluster = await cut()
    losses, audit = await losses_of(store, cluster), Audit()
    audit.fails = error
    with pytest.raises(type(error), match="on record in the ledger, but audit has no copy: no"):
        await losses.put_on_record(await found(losses), BY, "test", audit)
    assert await losses.look() is None
    audit.fails = None
    first = await losses.repeat(BY, audit)
    assert await losses.repeat(BY._replace(now=BY.now + 1), audit) == first
    assert audit.records[0] == audit.records[1]


async def test_only_who_put_it_on_record_repeats_it() -> None:
    store, cluster = await cut()
    losses, audit = await losses_of(store, cluster), Audit()
    recorded = await losses.put_on_record(await found(losses), BY, "test", audit)
    for other in (BY._replace(who="bob"), BY._replace(why="for fun")):
        with pytest.raises(Poison, match=f"not halted for a loss.*{recorded.key}"):
            await losses.repeat(other, audit)
    assert len(audit.records) == 1


async def test_a_partition_without_a_loss_has_nothing_to_repeat() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [5])
    losses = await losses_of(store, Cluster(log))
    assert await losses.look() is None
    with pytest.raises(Poison, match="there is nothing to put on record"):
        await losses.repeat(BY, Audit())


async def test_another_fleets_kafka_is_refused_before_its_topic_looks_like_one_made_anew() -> None:
    store, cluster = await cut()
    await enroll(store, Fleet("root", "cluster", "archive"), retry())
    await losses_of(store, cluster)
    cluster.id = "staging"
    with pytest.raises(Fatal, match="Kafka cluster cluster, this is staging"):
        await losses_of(store, cluster)


async def test_the_groups_hint_is_gone_by() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    await store.delete([heads[0].chain.entry(5)])
    losses = await losses_of(store, Cluster(log, (7, str(heads[-1].hint))))
    loss = await found(losses)
    assert (loss.cause, loss.broken) == ("chain_broken", (AsFound(f"{5:020d}.json", None),))


async def test_where_each_chain_stands_is_told_by_the_bucket_alone() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5, 2])
    [standing] = await standings(store, retry())
    assert (standing.state, standing.next) == ("open", 7)
    await store.put(heads[0].chain.entry(5), b"garbage")
    [standing] = await standings(store, retry())
    assert (standing.state, standing.halt) == ("halted", "entry_tampered")
    await store.delete([heads[0].chain.genesis])
    [standing] = await standings(store, retry())
    assert standing.halt == "chain_broken"


async def test_two_open_chains_of_a_partition_are_two_topics() -> None:
    store, log = MemoryStore(), MemoryLog()
    heads = await committed(store, log, [5])
    other = heads[0].chain._replace(topic_id="other")
    body = (await store.get(heads[0].chain.genesis)).body
    await store.put(other.genesis, body.replace(TOPIC_ID.encode(), b"other"))
    assert {standing.halt for standing in await standings(store, retry())} == {"topic_recreated"}
