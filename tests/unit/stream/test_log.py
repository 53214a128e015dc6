"""What a Log makes of a cluster that changes while it is asked, or does not know everything yet."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.protocol.offset import OffsetRequest  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Retryable
from workers.stream.connection import KafkaConnection
from workers.stream.log import EARLIEST, Log
from workers.stream.metadata import TopicIdRequest

UNKNOWN, UNKNOWN_TOPIC, NONE = -1, 3, 0


class Cluster:
    """Answers as one broker does. Each question takes an answer from its list; the last one stays."""

    def __init__(self) -> None:
        self.ids = ["old"]
        self.codes = [NONE]
        self.leaders = [{0: 1, 1: 1}]
        self.offset_codes = [NONE]
        self.ends = {"old": 10, "new": 3}
        self.present = ""
        self.updates = 0

    def get_random_node(self) -> int:
        return 1

    def force_metadata_update(self) -> None:
        self.updates += 1

    async def send(self, node: int, request: Any) -> Any:
        if isinstance(request, TopicIdRequest):
            self.present = following(self.ids)
            leaders = following(self.leaders).items()
            partitions: list[Any] = [(0, partition, leader, 0, [1], [1], []) for partition, leader in leaders]
            described = (following(self.codes), "raw", self.present, False, partitions)
            return SimpleNamespace(cluster_id="cluster", topics=[described])
        if isinstance(request, OffsetRequest):
            code = following(self.offset_codes)
            found = [
                (partition, code, -1, 0 if timestamp == EARLIEST else self.ends[self.present])
                for partition, timestamp in request._topics[0][1]
            ]
            return SimpleNamespace(topics=[("raw", found)])
        assert isinstance(request, FetchRequest)
        end = self.ends[self.present]
        marks = [(partition, NONE, end, b"") for partition, *_ in request.topics[0][1]]
        return SimpleNamespace(topics=[("raw", marks)])


def following(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]


def log_of(cluster: Cluster) -> Log:
    log = Log(KafkaConnection("nowhere:1", request_timeout=1.0))
    log._client = cluster
    return log


async def test_bounds_are_those_of_the_topic_whose_id_comes_with_them() -> None:
    cluster = Cluster()
    cluster.ids = ["old", "new"]  # made anew between the question for its id and that for its offsets
    extent = await log_of(cluster).extent("raw", frozenset({0}))
    assert (extent.topic_id, extent.bounds) == ("new", {0: (0, 3)})


async def test_a_partition_without_a_leader_holds_up_no_question_about_another() -> None:
    cluster = Cluster()
    cluster.leaders = [{0: 1, 1: -1}]
    log = log_of(cluster)
    assert await log.bounds("raw", [0]) == {0: (0, 10)}
    assert await log.record("raw", 0, 10) is None
    with pytest.raises(Retryable):
        await log.bounds("raw", [0, 1])
