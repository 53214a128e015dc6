"""Reads a topic from a time on, without a group: for commands that show what happened lately."""

from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.stream.connection import KafkaConnection, start
from workers.stream.log import Log
from workers.stream.refusals import reason

POLL_MS = 500


async def read_since(
    connection: KafkaConnection, topic: str, since: int, *, follow: bool
) -> AsyncIterator[list[bytes]]:
    """The values of all records from `since` (ms since the epoch) to where the log ends now, in portions.

    With `follow` it goes on, for ever; an empty portion says that nothing came for a while. Raises Fatal for
    a missing topic, Retryable while Kafka is out of reach.
    """
    log = Log(connection)
    try:
        await log.partitions(topic)  # which names a topic that is missing
        bounds = (await log.extent(topic)).bounds
    finally:
        await log.close()
    consumer: Any = AIOKafkaConsumer(
        **connection.client_settings(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",  # what retention deletes meanwhile is passed over
        fetch_max_wait_ms=POLL_MS,
    )
    await start(connection, consumer.start, consumer.stop)
    try:
        tps = {partition: TopicPartition(topic, partition) for partition in bounds}
        consumer.assign(list(tps.values()))
        found = await consumer.offsets_for_times(dict.fromkeys(tps.values(), since))
        positions = {}
        for partition, tp in tps.items():
            at = found.get(tp)
            positions[partition] = bounds[partition][1] if at is None else at.offset
            consumer.seek(tp, positions[partition])
        while follow or any(positions[partition] < end for partition, (_, end) in bounds.items()):
            records = await consumer.getmany(timeout_ms=POLL_MS)
            yield [record.value for part in records.values() for record in part if record.value is not None]
            positions = {partition: await consumer.position(tp) for partition, tp in tps.items()}
    except KafkaError as error:
        raise await reason(connection, error) from error
    finally:
        await consumer.stop()
