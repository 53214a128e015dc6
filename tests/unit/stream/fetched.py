"""A fetch of a log's bytes as aiokafka's Fetcher holds it, unpacked by aiokafka or by us."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]  # aiokafka ships no types
    READ_COMMITTED,
    FetchResult,
    PartitionRecords,
)
from aiokafka.record.memory_records import (  # type: ignore[import-untyped]  # aiokafka ships no types
    MemoryRecords,
)
from aiokafka.structs import TopicPartition  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.stream.unpack import AsRecords, AsRuns, Gathering, unpack_by_batch

TP = TopicPartition("raw-events", 0)

Gathered = Callable[[], Gathering]
# offset, time, its kind, key, value: in columns there are no kind and no key
Unpacked = tuple[int, int | None, int | None, bytes | None, bytes | None]


@dataclass
class Position:
    """aiokafka's state of a partition."""

    position: int
    paused: bool = False
    moves: list[int] = field(default_factory=list)

    def consumed_to(self, offset: int) -> None:
        self.position = offset
        self.moves.append(offset)


class Fetched:
    """One fetch of `log`, as the Fetcher holds it."""

    def __init__(
        self,
        log: bytes,
        start: int,
        aborted: list[tuple[int, int]],
        *,
        ours: bool,
        gathering: Gathered = AsRecords,
    ) -> None:
        self.at = Position(start)
        assignment = SimpleNamespace(active=True, state_value=lambda _: self.at)
        records = PartitionRecords(
            TP, MemoryRecords(log), list(aborted), start, None, None, True, READ_COMMITTED
        )
        fetcher = SimpleNamespace(_records=OrderedDict[Any, Any]())
        if ours:
            unpack_by_batch(fetcher, gathering)
        fetcher._records[TP] = FetchResult(TP, assignment=assignment, partition_records=records, backoff=0.0)
        self.result = fetcher._records[TP]
        assert type(self.result) is FetchResult  # the Fetcher asks for just that

    def take(self, max_records: int | None) -> list[Unpacked]:
        answer = self.result.getall(max_records)
        if isinstance(answer, AsRuns):
            return [
                (offset, run.appended, None, None, value)
                for run in answer.runs
                for offset, value in zip(run.offsets, run.values, strict=True)
            ]
        return [
            (record.offset, record.timestamp, record.timestamp_type, record.key, record.value)
            for record in answer
        ]

    def all(self, max_records: int | None) -> list[Unpacked]:
        found = []
        while self.result.has_more():
            found += self.take(max_records)
        return found
