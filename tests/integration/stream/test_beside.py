"""What a command asks beside the workers: the group's hint, and whether a range holds a record."""

import pytest

from tests.integration.stream.conftest import WITHIN, Log
from tests.integration.stream.recorder import Recorder, running, until
from tests.integration.stream.test_transactions import transaction
from workers.errors import Retryable
from workers.stream.beside import Beside
from workers.stream.connection import KafkaConnection


def beside(log: Log) -> Beside:
    return Beside(KafkaConnection(log.bootstrap), log.group, log.topic)


async def test_a_groups_offset_comes_with_its_metadata(narrow: Log) -> None:
    assert await beside(narrow).group_offset(0) is None
    async with running(narrow.bootstrap, narrow.topic, Recorder(), group=narrow.group) as stream:
        await until(lambda: stream.assigned, "an assignment")
        assert await stream.commit_hint({0: (7, "5:digest:chain.1")})
        assert await beside(narrow).group_offset(0) == (7, "5:digest:chain.1")


async def test_the_first_record_of_a_range_is_one_that_a_worker_would_get(narrow: Log) -> None:
    producer = narrow.transactional("t")
    narrow.produce([b"first"])
    transaction(producer, narrow.topic, [b"lost"] * 30, commit=False)
    narrow.produce([b"second"])
    end = 1 + 31 + 1  # the marker of the abort may come before or behind the second record
    second = await beside(narrow).first_record(0, 1, end)
    assert second in (31, 32)
    assert await beside(narrow).first_record(0, 0, second) == 0
    assert await beside(narrow).first_record(0, 1, second) is None
    assert await beside(narrow).first_record(0, second + 1, end) is None
    assert await beside(narrow).first_record(0, 5, 5) is None


async def test_a_range_that_kafka_does_not_bring_is_told(
    narrow: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.stream.beside.IDLE_POLLS", 3)
    producer = narrow.transactional("open")
    producer.begin_transaction()
    producer.produce(narrow.topic, b"open", partition=0)
    producer.flush(WITHIN)
    with pytest.raises(Retryable, match="can't be read from 0 to 1"):
        await beside(narrow).first_record(0, 0, 1)
    producer.commit_transaction(WITHIN)
    assert await beside(narrow).first_record(0, 0, 1) == 0
