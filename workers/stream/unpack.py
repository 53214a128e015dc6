"""Unpacks what was fetched a batch at a time, in aiokafka's compiled code, into columns or into its records.

aiokafka itself takes each record through two generators and copies it into an object of its own, which is
more than half of what a fetched record costs. What counts as a record is as there: batches are checked by
their CRC; markers and aborted transactions hold none.
"""

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]  # aiokafka ships no types
    READ_COMMITTED,
    FetchResult,
)
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    CorruptRecordException,
)
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.stream.chunk import Run

LOG_APPEND_TIME = 1  # Kafka's timestamp type: set by the broker


class Record(Protocol):
    """A record as Kafka delivered it (aiokafka's DefaultRecord)."""

    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int:
        """ms since the epoch; whose clock it was says `timestamp_type`."""

    @property
    def timestamp_type(self) -> int:
        """0: the producer's CreateTime, 1: the broker's LogAppendTime."""

    @property
    def key(self) -> bytes | None: ...

    @property
    def value(self) -> bytes | None: ...


class Gathering(Protocol):
    """What an answer's records are gathered in. aiokafka counts them by its length."""

    def take(self, records: list[Record]) -> None:
        """Some of one batch."""

    def __len__(self) -> int: ...


class AsRecords(list[Record]):
    """As aiokafka has them."""

    def take(self, records: list[Record]) -> None:
        self.extend(records)


class AsRuns:
    """In columns, which the records themselves need not outlive: they go with their batch."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self._records = 0

    def take(self, records: list[Record]) -> None:
        if records:
            self.runs.append(run_of(records))
            self._records += len(records)

    def __len__(self) -> int:
        return self._records


def run_of(records: Sequence[Record]) -> Run:
    """Records of one batch, some: all of one have the same time, if it is the broker's."""
    first, last = records[0], records[-1]
    offsets: Sequence[int] = range(first.offset, last.offset + 1)
    if len(offsets) != len(records):  # the log was compacted
        offsets = [record.offset for record in records]
    appended = first.timestamp if first.timestamp_type == LOG_APPEND_TIME else None
    return Run(offsets, appended, [record.value for record in records])


def unpack_by_batch(fetcher: Any, gathering: Callable[[], Gathering]) -> None:
    """From now on what `fetched_records` of this aiokafka Fetcher returns is unpacked and gathered here."""
    fetcher._records = Results(fetcher._records, gathering)


class Unpacked(NamedTuple):
    records: list[Record]
    end: int  # the offset behind them, and behind what holds none


class Unpacking:
    """Of one FetchResult, which stays of aiokafka's own type: its Fetcher asks for that.

    No reference leads back to what was fetched: in a cycle it would stay until the collector comes, which
    archive workers hardly let in (`calm_collector`).
    """

    def __init__(self, result: Any, gathering: Callable[[], Gathering]) -> None:
        self._result: Any = weakref.proxy(result)  # which holds this
        self._gathering = gathering
        self._batches = batches(result._partition_records)
        self._rest: list[Record] = []  # of the batch that did not fit
        self._end = 0  # of that batch
        # aiokafka's generator: its PartitionRecords breaks their cycle only where it has been begun and ended
        result._partition_records._records_iterator = None

    def getall(self, max_records: int | None = None) -> Gathering:
        """The next records, whose end is the partition's position then. Raises CorruptRecordException."""
        result, found = self._result, self._gathering()
        if not result.check_assignment(result._topic_partition) or not result.has_more():
            return found
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
            found.take(took)
            self._rest = self._rest[len(took) :]
            if room is not None:
                room -= len(took)
            result._partition_records.next_fetch_offset = took[-1].offset + 1 if self._rest else self._end
        result._update_position()
        return found


class Results(OrderedDict[TopicPartition, Any]):
    """What a Fetcher has fetched and nobody has asked for, by partition."""

    def __init__(self, fetched: Mapping[TopicPartition, Any], gathering: Callable[[], Gathering]) -> None:
        self._gathering = gathering
        super().__init__(fetched)

    def __setitem__(self, tp: TopicPartition, result: Any) -> None:
        if type(result) is FetchResult:  # else an error
            result.getall = Unpacking(result, self._gathering).getall
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
        yield Unpacked(
            [] if aborted or batch.is_control_batch else _records(batch, of.next_fetch_offset),
            batch.next_offset,
        )


def _records(batch: Any, start: int) -> list[Record]:
    records = list(batch)
    if records and records[0].offset < start:  # the fetch began within the batch
        return [record for record in records if record.offset >= start]
    return records
