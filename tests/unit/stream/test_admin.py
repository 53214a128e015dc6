"""A topic is made once all brokers know it: the controller answers earlier."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError  # type: ignore[import-untyped]  # aiokafka ships no types

from topics import registry
from workers.errors import Retryable
from workers.stream import admin
from workers.stream.admin import until_known
from workers.stream.connection import KafkaConnection
from workers.stream.log import Log

NONE, UNKNOWN_TOPIC, LEADER_NOT_AVAILABLE = 0, 3, 5

Answer = tuple[int, dict[int, int]]  # error code, {partition: leader}
KNOWN: Answer = (NONE, {0: 1, 1: 2})
UNHEARD: Answer = (UNKNOWN_TOPIC, {})


class Brokers:
    """Two. Each takes an answer from its list, None where it is out of reach; the last one stays."""

    def __init__(self, one: list[Answer | None], two: list[Answer | None]) -> None:
        self.answers = {1: one, 2: two}
        self.asked = 0
        self.cluster = SimpleNamespace(
            brokers=lambda: [SimpleNamespace(nodeId=node) for node in self.answers]
        )

    def get_random_node(self) -> int:
        return 2

    async def close(self) -> None:
        """Nothing is open."""

    async def create_topics(self, topics: list[Any]) -> Any:
        return SimpleNamespace(topic_errors=[(topic.name, NONE, None) for topic in topics])

    def force_metadata_update(self) -> None:
        """Nothing to learn."""

    async def send(self, node: int, request: Any) -> Any:
        self.asked += 1
        answers = self.answers[node]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer is None:
            raise NodeNotReadyError
        code, leaders = answer
        partitions: list[Any] = [
            (0, partition, leader, 0, [1], [1], []) for partition, leader in leaders.items()
        ]
        return SimpleNamespace(cluster_id="cluster", topics=[(code, "raw", "id", False, partitions)])


def log_of(brokers: Brokers) -> Log:
    log = Log(KafkaConnection("nowhere:1", request_timeout=0.5))
    log._client = brokers
    return log


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "KNOWN_PAUSE", 0)


@pytest.mark.parametrize(
    "behind",
    [
        UNHEARD,
        (LEADER_NOT_AVAILABLE, {0: 1, 1: -1}),
        (NONE, {0: 1, 1: -1}),
        (NONE, {0: 1}),
    ],
)
async def test_the_slowest_broker_is_waited_for(behind: Answer) -> None:
    brokers = Brokers([KNOWN], [behind, behind, KNOWN])
    await until_known(log_of(brokers), {"raw": 2})
    assert brokers.asked == 6


async def test_a_broker_out_of_reach_is_not_waited_for() -> None:
    brokers = Brokers([UNHEARD, KNOWN], [None])
    await until_known(log_of(brokers), {"raw": 2})
    assert brokers.asked == 4


async def test_the_wait_is_bounded_and_says_what_is_missing() -> None:
    with pytest.raises(Retryable, match=r"raw: 1 of 2 partitions have a leader") as raised:
        await until_known(log_of(Brokers([KNOWN], [(NONE, {0: 1})])), {"raw": 2}, within=0.05)
    assert "strongroom topics check" in raised.value.remedy
    with pytest.raises(Retryable, match=r"raw: UnknownTopicOrPartitionError"):
        await until_known(log_of(Brokers([UNHEARD], [KNOWN])), {"raw": 2}, within=0.05)
    with pytest.raises(Retryable, match=r"raw: no broker has answered"):
        await until_known(log_of(Brokers([None], [None])), {"raw": 2}, within=0.05)


async def test_creating_waits_until_the_topics_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers = Brokers([UNHEARD, UNHEARD, KNOWN], [UNHEARD, UNHEARD, KNOWN])

    async def opened(connection: KafkaConnection) -> Brokers:
        return brokers

    monkeypatch.setattr(admin, "_open", opened)
    monkeypatch.setattr(admin, "Log", lambda connection: log_of(brokers))
    spec = replace(registry.TOPICS[0], name="raw", partitions=2)
    assert await admin.create_topics(KafkaConnection("nowhere:1"), [spec]) == ["raw"]
    assert brokers.answers == {1: [KNOWN], 2: [KNOWN]}


async def test_nothing_created_asks_nothing() -> None:
    brokers = Brokers([UNHEARD], [UNHEARD])
    await until_known(log_of(brokers), {})
    assert brokers.asked == 0
