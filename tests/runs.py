"""Kafka's records as tests make them, one by one, in the columns that sorting takes."""

from collections.abc import Iterable
from itertools import groupby
from typing import Protocol

from workers.stream.chunk import Run

LOG_APPEND_TIME = 1  # Kafka's timestamp type: set by the broker


class Record(Protocol):
    @property
    def offset(self) -> int: ...

    @property
    def timestamp(self) -> int: ...

    @property
    def timestamp_type(self) -> int: ...

    @property
    def value(self) -> bytes | None: ...


def runs_of(records: Iterable[Record]) -> list[Run]:
    """As a broker would have them in batches: a run ends where the time changes."""
    return [
        Run([record.offset for record in run], appended, [record.value for record in run])
        for appended, run in ((appended, list(run)) for appended, run in groupby(records, key=_appended))
    ]


def _appended(record: Record) -> int | None:
    return record.timestamp if record.timestamp_type == LOG_APPEND_TIME else None
