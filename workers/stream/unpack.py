"""Unpacks what was fetched a batch at a time, in aiokafka's compiled code.

aiokafka itself takes each record through two generators and copies it into an object of its own, which is
more than half of what a fetched record costs. What counts as a record is as there: batches are checked by
their CRC; markers and aborted transactions hold none.
"""

import weakref
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]  # aiokafka ships no types
    READ_COMMITTED,
    FetchResult,
)
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    CorruptRecordException,
)
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.stream.chunk import Record


def unpack_by_batch(fetcher: Any) -> None:
    """From now on what `fetched_records` of this aiokafka Fetcher returns is unpacked here."""
    fetcher._records = Results(fetcher._records)


class Unpacked(NamedTuple):
    records: list[Record]
    end: int  # the offset behind them, and behind what holds none


class Unpacking:
    """Of one FetchResult, which stays of aiokafka's own type: its Fetcher asks for that.

    No reference leads back to what was fetched: in a cycle it would stay until the collector comes, which
    archive workers hardly let in (`calm_collector`).
    """

    def __init__(self, result: Any) -> None:
        self._result: Any = weakref.proxy(result)  # which holds this
        self._batches = batches(result._partition_records)
        self._rest: list[Record] = []  # of the batch that did not fit
        self._end = 0  # of that batch
        # aiokafka's generator: its PartitionRecords breaks their cycle only where it has been begun and ended
        result._partition_records._records_iterator = None

    def getall(self, max_records: int | None = None) -> list[Record]:
        """The next records, whose end is the partition's position then. Raises CorruptRecordException."""
        result = self._result
        if not result.check_assignment(result._topic_partition) or not result.has_more():
            return []
        found: list[Record] = []
        room = max_records
        while room is None or room > 0:
            if not self._rest:
                batch = next(self._batches, None)
                if batch is None:
                    result._update_position()
                    result._partition_records = None
                    return found
                self._rest, self._end = batch
            took = self._rest if room is None else self._rest[:room]
            found += took
            self._rest = self._rest[len(took) :]
            if room is not None:
                room -= len(took)
            result._partition_records.next_fetch_offset = took[-1].offset + 1 if self._rest else self._end
        result._update_position()
        return found


class Results(OrderedDict[TopicPartition, Any]):
    """What a Fetcher has fetched and nobody has asked for, by partition."""

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:  # else an error
            result.getall = Unpacking(result).getall
        super().__setitem__(tp, result)


def batches(of: Any) -> Iterator[Unpacked]:
    """The batches of a PartitionRecords that was not begun, as its own `_unpack_records` reads them.

    Ends for good with an exception: what is behind a broken batch must not be taken for what is next.
    """
    while of._records.has_next():
        batch = of._records.next_batch()
        if of._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {of._tp}")
        aborted = False
        if of._isolation_level == READ_COMMITTED and batch.producer_id is not None:
            of._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and of._contains_abort_marker(batch):
                of._aborted_producers.discard(batch.producer_id)
            aborted = batch.is_transactional and batch.producer_id in of._aborted_producers
        records = [] if aborted or batch.is_control_batch else list(batch)
        if records and records[0].offset < of.next_fetch_offset:  # the fetch began within the batch
            records = [record for record in records if record.offset >= of.next_fetch_offset]
        yield Unpacked(records, batch.next_offset)
