"""The steward signs pass by pass, and tells the audit topic once of each newest checkpoint, when it can."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

from tests.unit.ledger.signing import SIGNER, checkpointer, newest
from tests.unit.ledger.world import MemoryLog, committed, log_id
from topics import audit
from workers.errors import Retryable
from workers.ledger import checkpoint as checkpoints
from workers.ledger.checkpoint import Vouched
from workers.observe import metrics
from workers.roles.checkpoints import Checkpointing, signs_checkpoints
from workers.settings import Settings
from workers.store.memory import MemoryStore

CHAIN = log_id().chain(1)


class Topic:
    def __init__(self, away: bool = False) -> None:
        self.away = away
        self.tries = 0
        self.records: list[tuple[str, bytes | None, bytes]] = []

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Topic"]:
        self.tries += 1
        if self.away:
            raise Retryable("Kafka is away", remedy="start it")
        yield self

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> None:
        self.records.append((topic, key, value))


@asynccontextmanager
async def running(store: MemoryStore, topic: Topic) -> AsyncIterator[Checkpointing]:
    role = Checkpointing(
        checkpointer(store), topic.opened, "x.audit", "host", 0.001, lambda: None, lambda: 7_000
    )
    task = asyncio.create_task(role.run())
    yield role
    task.cancel()
    await asyncio.wait([task])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 # a store tells nobody that it changed
            await asyncio.sleep(0.001)


async def test_the_audit_topic_gets_each_newest_once_signature_and_all() -> None:
    store, log, topic = MemoryStore(), MemoryLog(), Topic()
    await committed(store, log, [2, 2])
    async with running(store, topic):
        await until(lambda: len(topic.records) == 1)
        gets = store.requests["get"]
        await until(lambda: store.requests["get"] > gets + 5)  # some passes without news
        assert len(topic.records) == 1
        await committed(store, log, [1])
        await until(lambda: len(topic.records) == 2)
    name, key, value = topic.records[-1]
    record = audit.codec.decode(value)
    assert (name, key, record.action) == ("x.audit", b"_platform", "ledger.checkpoint")
    told = checkpoints.opened(bytes(record.after), "", SIGNER.trust)
    assert isinstance(told, Vouched)
    assert told.checkpoint == (await newest(store, CHAIN)).checkpoint


async def test_while_kafka_is_away_it_goes_on_and_tells_later() -> None:
    store, log, topic = MemoryStore(), MemoryLog(), Topic(away=True)
    await committed(store, log, [2])
    with structlog.testing.capture_logs() as logs:
        async with running(store, topic):
            await until(lambda: topic.tries > 2)
            assert metrics.REGISTRY.get_sample_value("strongroom_checkpoints_untold") == 1
            assert (await newest(store, CHAIN)).checkpoint.first == 0
            topic.away = False
            await until(lambda: len(topic.records) == 1)
    assert "checkpoints_untold" in {each["event"] for each in logs}


async def test_a_chain_that_was_cut_is_heard() -> None:
    store, log = MemoryStore(), MemoryLog()
    await committed(store, log, [2, 2])
    await checkpointer(store).run_pass()
    await store.delete([CHAIN.entry(2)])
    with structlog.testing.capture_logs() as logs:
        async with running(store, Topic()):
            await until(lambda: metrics.REGISTRY.get_sample_value("strongroom_checkpoints_refused") == 1)
    refused = [each for each in logs if each["event"] == "checkpoint_refused"]
    assert refused[0]["log_level"] == "error"
    assert "it is gone" in refused[0]["why"]


def test_it_is_off_without_a_key() -> None:
    assert not signs_checkpoints(Settings())
