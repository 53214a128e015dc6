"""Names and bytes of the key hierarchy that are formats: they are spelled out here and never change."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.sealing.keys import (
    BLOB_BYTES,
    Level,
    Unit,
    WrappingKey,
    canonical,
    context_of,
    day_number,
    new_key,
    service_context,
)
from workers.sealing.refusals import MalformedContext, WrongKey
from workers.sealing.rows import marker_of, named, unit_row, workspace_row

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)


def test_the_blob_is_laid_out_as_sealing_md_says() -> None:
    wrapping = WrappingKey(new_key(), Level.DATA, workspace="acme", day="2026-11-25", generation=7)
    blob = wrapping.wrap(new_key(), context_of(UNIT, "x"))
    assert len(blob) == BLOB_BYTES == 4 + 1 + 16 + 4 + 2 + 12 + 32 + 16
    assert blob[:4] == b"SRK3"
    assert blob[4] == 1
    assert blob[5:21] == hashlib.sha256(b"acme").digest()[:16]
    assert int.from_bytes(blob[21:25], "big") == 20261125
    assert int.from_bytes(blob[25:27], "big") == 7


def test_the_canonical_context_is_spelled_out() -> None:
    assert canonical({"b": "2", "a": ""}) == b"\x00\x02\x00\x01a\x00\x00\x00\x01b\x00\x012"
    assert canonical({}) == b"\0\0"


@given(st.dictionaries(printable, printable, max_size=4), st.dictionaries(printable, printable, max_size=4))
def test_two_contexts_have_two_encodings(one: dict[str, str], other: dict[str, str]) -> None:
    assert (canonical(one) == canonical(other)) == (one == other)
    assert canonical(one) == canonical(dict(reversed(one.items())))


@pytest.mark.parametrize("text", ["é", "\n", "\x7f", "\ud800", "x" * 65536])
def test_a_context_that_clients_may_read_differently_is_refused(text: str) -> None:
    for context in ({text: "a"}, {"a": text}):
        with pytest.raises(MalformedContext):
            canonical(context)


def test_the_context_of_an_object_names_all_that_it_belongs_to() -> None:
    assert context_of(UNIT, "data/one") == {
        "workspace": "acme",
        "source": "web",
        "day": "2026-11-25",
        "clock": "main",
        "object": "data/one",
    }
    assert service_context({"a": "b"}) == {"a": "b", "aws:x-amz-cek-alg": "115"}


def test_a_key_wrapped_for_one_suite_is_not_given_for_another() -> None:
    wrapping = WrappingKey(new_key(), Level.DATA, workspace="acme", day="2026-11-25", generation=1)
    context = service_context(context_of(UNIT, "x"))
    blob = wrapping.wrap(new_key(), context)
    with pytest.raises(WrongKey):
        wrapping.unwrap(blob, {**context, "aws:x-amz-cek-alg": "AES/GCM/NoPadding"})


@pytest.mark.parametrize(
    "day", ["2026-13-01", "2026-02-30", "20261125", "2026-11-25 ", "٢٠٢٦-11-25", "", "x"]
)
def test_what_is_no_day_is_refused(day: str) -> None:
    with pytest.raises(Poison, match="no day"):
        day_number(day)


def test_row_names_are_formats() -> None:
    assert unit_row(UNIT) == "keys/v1/ws=acme/src=web/day=2026-11-25/clock=main.json"
    assert workspace_row("acme") == "keys/v1/ws=acme/l1.json"
    assert marker_of(unit_row(UNIT)) == (
        "keys/v1/tombstones/row/ws=acme/src=web/day=2026-11-25/clock=main.json"
    )
    assert named(unit_row(UNIT)) == UNIT
    assert named(workspace_row("acme")) == "acme"


@pytest.mark.parametrize(
    "name", ["", "keys/v1/", "keys/v1/ws=a/l1.json.bak", "keys/v1/ws=a/src=b/day=2026-11-25/clock=x.json"]
)
def test_other_names_name_no_row(name: str) -> None:
    with pytest.raises(Poison, match="no"):
        named(name)
