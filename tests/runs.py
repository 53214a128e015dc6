"""Kafka's records as tests make them, one by one, in the columns that sorting takes."""

from collections.abc import Iterable, Sequence
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
    """A run ends where the time changes."""
    return [_run(appended, list(run)) for appended, run in groupby(records, key=_appended)]


def _run(appended: int | None, records: Sequence[Record]) -> Run:
    offsets = [record.offset for record in records]
    whole = range(offsets[0], offsets[0] + len(offsets))
    # as unpacking has it
    return Run(whole if offsets == list(whole) else offsets, appended, [record.value for record in records])


def _appended(record: Record) -> int | None:
    return record.timestamp if record.timestamp_type == LOG_APPEND_TIME else None
