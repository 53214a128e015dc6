"""Offsets without a record (markers, aborted transactions) are counted by position, and never archived."""

import asyncio

from confluent_kafka import Producer

from tests.integration.stream.conftest import WITHIN, Log
from tests.integration.stream.recorder import Recorder, running, until
from workers.stream.connection import KafkaConnection
from workers.stream.log import Log as Facts


def transaction(producer: Producer, topic: str, values: list[bytes], *, commit: bool) -> None:
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    if commit:
        producer.commit_transaction(WITHIN)
    else:
        producer.flush(WITHIN)
        producer.abort_transaction(WITHIN)


async def test_markers_and_aborted_records_are_gaps(narrow: Log) -> None:
    producer = narrow.transactional("t")
    committed = []
    for n in range(40):  # single-record transactions, every fourth aborted
        transaction(producer, narrow.topic, [b"single-%d" % n], commit=n % 4 != 0)
        committed += [b"single-%d" % n] if n % 4 else []
    transaction(producer, narrow.topic, [b"lost-%d" % n for n in range(3000)], commit=False)
    transaction(producer, narrow.topic, [b"many-%d" % n for n in range(500)], commit=True)
    committed += [b"many-%d" % n for n in range(500)]
    end = 2 * 40 + 3001 + 501  # a marker ends each transaction

    owner = Recorder()
    async with running(narrow.bootstrap, narrow.topic, owner) as stream:
        await until(lambda: len(owner.ledger.values) == len(committed), "every committed record")
        assert owner.ledger.heads == {0: end}  # the last marker came with the last record
        assert stream.lag() == {0: (end, end)}
        transaction(producer, narrow.topic, [b"late"], commit=False)
        narrow.produce([b"plain"])
        await until(lambda: b"plain" in owner.ledger.values, "the last record")
    assert owner.ledger.values == [*committed, b"plain"]
    assert owner.fenced == 0  # each chunk started where the one before ended
    assert owner.spans(0)[-1] == (end, end + 3)


async def test_an_open_transaction_holds_back_what_follows_it(narrow: Log) -> None:
    producer = narrow.transactional("open")
    producer.begin_transaction()
    producer.produce(narrow.topic, b"open", partition=0)
    producer.flush(WITHIN)
    narrow.produce([b"after"])
    owner = Recorder()
    async with running(narrow.bootstrap, narrow.topic, owner) as stream:
        await until(lambda: stream.assigned, "an assignment")
        narrow.produce([b"later"])
        assert (owner.chunks, stream.lag()) == ([], {0: (0, 0)})
        producer.commit_transaction(WITHIN)
        await until(lambda: len(owner.ledger.values) == 3, "all three records")
    assert owner.ledger.values == [b"open", b"after", b"later"]


async def test_a_record_is_found_at_its_exact_offset_and_nowhere_else(narrow: Log) -> None:
    narrow.produce([b"r%d" % n for n in range(300)])
    transaction(narrow.transactional("t"), narrow.topic, [b"in"], commit=True)
    facts = Facts(KafkaConnection(narrow.bootstrap))
    try:
        # A broker answers a commit when it has decided; the marker follows, and the log ends behind it.
        async with asyncio.timeout(WITHIN):
            while (bounds := await facts.bounds(narrow.topic, [0])) == {0: (0, 301)}:  # noqa: ASYNC110  # the broker tells nobody
                await asyncio.sleep(0.01)
        assert bounds == {0: (0, 302)}
        assert [await facts.record(narrow.topic, 0, offset) for offset in (0, 150, 299, 300)] == [
            b"r0",
            b"r150",
            b"r299",
            b"in",
        ]
        assert await facts.record(narrow.topic, 0, 301) is None  # the marker
        assert await facts.record(narrow.topic, 0, 302) is None  # the log's end
        assert await facts.record(narrow.topic, 0, 999) is None
    finally:
        await facts.close()
