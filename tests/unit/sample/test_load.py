"""Traffic for benchmarks: one size, unique ids, the same bytes for the same arguments."""

import itertools
import json

import pytest

from workers.intake.envelope import decode
from workers.sample.load import load_keys, records


def test_records_are_sound_envelopes_of_the_size_asked_for() -> None:
    for key, value in records(seed=7, count=2000, keys=50, size=900):
        assert len(value) == 900
        assert decode(value).write_key.encode() == key


def test_message_ids_are_unique_and_end_in_the_record_number() -> None:
    ids = [json.loads(value)["event"]["messageId"] for _, value in records(seed=7, count=5000)]
    assert len(set(ids)) == 5000
    assert [int(text[-12:], 16) for text in ids] == list(range(5000))


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert list(records(seed=3, count=500)) == list(records(seed=3, count=500))
    assert list(records(seed=3, count=500)) != list(records(seed=4, count=500))


def test_all_keys_are_used_and_can_be_registered_before() -> None:
    used = {key.decode() for key, _ in records(seed=1, count=5000, keys=20)}
    assert used == set(load_keys(20))


def test_records_come_as_they_are_asked_for() -> None:
    assert len(list(itertools.islice(records(seed=1, count=10**12), 3))) == 3


def test_a_size_that_no_call_fits_in_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        next(records(seed=1, count=1, size=300))
