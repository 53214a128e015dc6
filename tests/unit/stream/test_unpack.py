"""What is unpacked by the batch is what aiokafka unpacks record by record, and ends where it ends."""

import gc
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.fetcher import (  # type: ignore[import-untyped]  # aiokafka ships no types
    FetchError,
)
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    CorruptRecordException,
)
from aiokafka.record.default_records import (  # type: ignore[import-untyped]  # aiokafka ships no types
    DefaultRecordBatchBuilder,
)
from aiokafka.record.util import calc_crc32c  # type: ignore[import-untyped]  # aiokafka ships no types
from hypothesis import given
from hypothesis import strategies as st

from tests.runs import LOG_APPEND_TIME
from tests.unit.stream.fetched import TP, Fetched, Gathered
from workers.stream.unpack import AsRecords, AsRuns, unpack_by_batch

FIRST = 100  # the log's first offset here
ATTRIBUTES, CRC = 21, 17  # where they stand in a batch's header
CONTROL, BROKERS_TIME = 0x20, 0x08
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"
NOBODY = -1

both = pytest.mark.parametrize("gathering", [AsRecords, AsRuns])


@dataclass(frozen=True)
class Batch:
    """`offsets`: of its records, counted from its own first; a compacted log has holes in them."""

    offsets: tuple[int, ...]
    producer: int = NOBODY
    marker: bytes | None = None
    codec: int = 0
    by_the_broker: bool = False  # its times

    def encoded(self, base: int) -> bytes:
        builder = DefaultRecordBatchBuilder(
            2, self.codec, self.producer != NOBODY, self.producer, 0, 0, 1 << 20
        )
        for offset in self.offsets:
            value = b"%d" % (base + offset) if self.marker is None else b"\x00" * 6
            builder.append(offset, 1_795_600_000_000 + offset, self.marker or b"key", value, [])
        batch = bytearray(builder.build())
        batch[:8] = base.to_bytes(8, "big")
        if self.marker is not None:
            batch[ATTRIBUTES + 1] |= CONTROL
        if self.by_the_broker:
            batch[ATTRIBUTES + 1] |= BROKERS_TIME
        batch[CRC : CRC + 4] = calc_crc32c(batch[ATTRIBUTES:]).to_bytes(4, "big")
        return bytes(batch)


def log_of(batches: list[Batch]) -> tuple[bytes, list[tuple[int, int]], int]:
    """The log's bytes, its aborted transactions as a broker lists them, and its end."""
    log, aborted, base = b"", [], FIRST
    open_since: dict[int, int] = {}
    for batch in batches:
        log += batch.encoded(base)
        if batch.marker is None and batch.producer != NOBODY:
            open_since.setdefault(batch.producer, base)
        elif batch.marker is not None:
            since = open_since.pop(batch.producer, None)
            if batch.marker == ABORT and since is not None:
                aborted.append((batch.producer, since))
        base += batch.offsets[-1] + 1
    return log, aborted, base


data = st.builds(
    Batch,
    st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True).map(lambda them: tuple(sorted(them))),
    st.sampled_from([NOBODY, 1, 2]),
    codec=st.sampled_from([0, 1, 3]),
    by_the_broker=st.booleans(),
)
markers = st.builds(Batch, st.just((0,)), st.sampled_from([1, 2]), st.sampled_from([ABORT, COMMIT]))


@given(
    st.lists(data | markers, min_size=1, max_size=8),
    st.integers(0, 20),
    st.none() | st.integers(1, 9),
)
def test_the_same_records_come_and_the_position_ends_the_same(
    batches: list[Batch], skipped: int, max_records: int | None
) -> None:
    log, aborted, end = log_of(batches)
    start = min(FIRST + skipped, end - 1)
    theirs = Fetched(log, start, aborted, ours=False)
    ours = Fetched(log, start, aborted, ours=True)
    assert ours.all(max_records) == theirs.all(max_records)
    assert ours.at.position == theirs.at.position == end


@given(
    st.lists(data | markers, min_size=1, max_size=8),
    st.integers(0, 20),
    st.none() | st.integers(1, 9),
)
def test_runs_hold_the_same_records_in_columns(
    batches: list[Batch], skipped: int, max_records: int | None
) -> None:
    log, aborted, end = log_of(batches)
    start = min(FIRST + skipped, end - 1)
    theirs = Fetched(log, start, aborted, ours=False).all(None)
    ours = Fetched(log, start, aborted, ours=True, gathering=AsRuns)
    found: list[tuple[int, int | None, bytes | None]] = []
    while ours.result.has_more():
        answer = ours.result.getall(max_records)
        assert all(run.values for run in answer.runs)
        records = [
            (offset, run.appended, value)
            for run in answer.runs
            for offset, value in zip(run.offsets, run.values, strict=True)
        ]
        assert len(answer) == len(records) <= (max_records or len(records))
        found += records
    assert found == [
        (offset, timestamp if kind == LOG_APPEND_TIME else None, value)
        for offset, timestamp, kind, _, value in theirs
    ]
    assert ours.at.position == end


@given(st.lists(data | markers, min_size=1, max_size=8), st.lists(st.integers(1, 5), max_size=12))
def test_the_position_is_behind_what_was_given_and_before_what_was_not(
    batches: list[Batch], sizes: list[int]
) -> None:
    log, aborted, _ = log_of(batches)
    every = [record[0] for record in Fetched(log, FIRST, aborted, ours=False).all(None)]
    fetch = Fetched(log, FIRST, aborted, ours=True)
    given_out: list[int] = []
    for size in sizes:
        if not fetch.result.has_more():
            break
        taken = fetch.take(size)
        assert len(taken) <= size
        given_out += [record[0] for record in taken]
        assert [offset for offset in every if offset < fetch.at.position] == given_out


@both
def test_a_broken_batch_stops_the_fetch_and_what_is_behind_it_does_not_come(gathering: Gathered) -> None:
    log, _, _ = log_of([Batch((0, 1)), Batch((0, 1)), Batch((0, 1))])
    size = len(Batch((0, 1)).encoded(FIRST))
    broken = bytearray(log)
    broken[2 * size - 2] ^= 1  # within a value
    fetch = Fetched(bytes(broken), FIRST, [], ours=True, gathering=gathering)
    with pytest.raises(CorruptRecordException):
        fetch.all(None)
    assert fetch.at.position == FIRST
    assert fetch.take(None) == []
    assert fetch.at.position == FIRST


@both
def test_a_broken_batch_is_not_skipped_behind_one_that_was_given(gathering: Gathered) -> None:
    log, _, _ = log_of([Batch((0, 1)), Batch((0, 1)), Batch((0, 1))])
    size = len(Batch((0, 1)).encoded(FIRST))
    broken = bytearray(log)
    broken[2 * size - 2] ^= 1  # within a value
    fetch = Fetched(bytes(broken), FIRST, [], ours=True, gathering=gathering)
    assert [record[0] for record in fetch.take(2)] == [FIRST, FIRST + 1]
    with pytest.raises(CorruptRecordException):
        fetch.take(2)
    assert fetch.take(2) == []
    assert fetch.at.position == FIRST + 2


@both
def test_nothing_comes_of_a_partition_that_is_paused_or_was_moved(gathering: Gathered) -> None:
    log, _, _ = log_of([Batch((0, 1))])
    paused, moved = (Fetched(log, FIRST, [], ours=True, gathering=gathering) for _ in range(2))
    paused.at.paused = True
    moved.at.position = FIRST + 1
    assert (paused.take(None), moved.take(None)) == ([], [])
    assert not paused.result.has_more()
    assert not moved.result.has_more()


def test_errors_of_a_fetch_stay_what_they_are() -> None:
    fetcher = SimpleNamespace(_records=OrderedDict[Any, Any]())
    unpack_by_batch(fetcher, AsRecords)
    error = FetchError(error=ValueError("refused"), backoff=0.0)
    fetcher._records[TP] = error
    with pytest.raises(ValueError, match="refused"):
        fetcher._records[TP].check_raise()


@both
@pytest.mark.parametrize("batches_taken", [0, 1, 3])
def test_what_was_fetched_goes_with_its_last_reference(batches_taken: int, gathering: Gathered) -> None:
    """No collector comes for it: archive workers hardly let one in, and a fetch is megabytes."""
    log, _, _ = log_of([Batch((0, 1), codec=3), Batch((0, 1)), Batch((0, 1))])
    gc.disable()
    try:
        fetch = Fetched(log, FIRST, [], ours=True, gathering=gathering)
        if batches_taken:
            fetch.take(2 * batches_taken)
        if batches_taken == 3:
            assert fetch.take(None) == []
        raw = weakref.ref(fetch.result._partition_records) if batches_taken < 3 else None
        result = weakref.ref(fetch.result)
        del fetch.result
        assert result() is None
        assert raw is None or raw() is None
    finally:
        gc.enable()


@both
def test_what_was_fetched_goes_once_all_of_it_was_taken(gathering: Gathered) -> None:
    log, _, _ = log_of([Batch((0, 1))])
    gc.disable()
    try:
        fetch = Fetched(log, FIRST, [], ours=True, gathering=gathering)
        raw = weakref.ref(fetch.result._partition_records)
        fetch.all(None)
        assert raw() is None
    finally:
        gc.enable()
