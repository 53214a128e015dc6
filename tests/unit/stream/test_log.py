"""What a Log makes of a cluster that changes while it is asked, or does not know everything yet."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.protocol.offset import OffsetRequest  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal, Retryable
from workers.stream.connection import KafkaConnection
from workers.stream.log import EARLIEST, Log
from workers.stream.metadata import TopicIdRequest

UNKNOWN, NONE, UNKNOWN_TOPIC, NOT_AUTHORIZED = -1, 0, 3, 29


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
    log = Log(KafkaConnection("nowhere:1", request_timeout=0.5))
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
    assert await log.bounds("raw", []) == {}
    with pytest.raises(Retryable):
        await log.bounds("raw", [0, 1])


def forgets_the_topic(cluster: Cluster) -> None:
    cluster.codes = [UNKNOWN_TOPIC, NONE]


def does_not_know_a_partition_yet(cluster: Cluster) -> None:
    cluster.leaders = [{0: 1}, {0: 1, 1: 1}]


def does_not_know_what_went_wrong(cluster: Cluster) -> None:
    cluster.offset_codes = [UNKNOWN, NONE]


def does_not_lead_what_it_leads(cluster: Cluster) -> None:
    cluster.offset_codes = [UNKNOWN_TOPIC, NONE]


PASSING = [
    forgets_the_topic,
    does_not_know_a_partition_yet,
    does_not_know_what_went_wrong,
    does_not_lead_what_it_leads,
]


@pytest.mark.parametrize("passing", PASSING)
async def test_a_passing_answer_is_asked_again(passing: Callable[[Cluster], None]) -> None:
    cluster = Cluster()
    passing(cluster)
    assert await log_of(cluster).bounds("raw", [0, 1]) == {0: (0, 10), 1: (0, 10)}
    passing(cluster)
    assert await log_of(cluster).record("raw", 1, 10) is None


@pytest.mark.parametrize("passing", PASSING)
async def test_a_passing_answer_that_stays_is_still_no_reason_to_halt(
    passing: Callable[[Cluster], None],
) -> None:
    cluster = Cluster()
    passing(cluster)
    del cluster.codes[1:], cluster.leaders[1:], cluster.offset_codes[1:]
    with pytest.raises(Retryable, match="could not tell"):
        await log_of(cluster).bounds("raw", [0, 1])


async def test_a_topic_that_is_missing_at_the_start_is_named_at_once() -> None:
    cluster = Cluster()
    cluster.codes = [UNKNOWN_TOPIC, NONE]
    with pytest.raises(Fatal, match="raw does not exist") as raised:
        await log_of(cluster).topic_ids(["raw"])
    assert "strongroom topics create" in raised.value.remedy


async def test_a_refusal_is_no_passing_answer() -> None:
    cluster = Cluster()
    cluster.codes = [NOT_AUTHORIZED, NONE]
    with pytest.raises(Fatal, match="refused"):
        await log_of(cluster).bounds("raw", [0])
