"""Mutations that have no name: none opens to anything but what was sealed, all else raises a Refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.sealing.cases import BODY, METADATA, OBJECT, PLAIN, opener
from tests.unit.sealing.mutations import Change, edited, some_edits
from workers.intake.dispositions import Clock
from workers.sealing.format import Sealed, parse_header
from workers.sealing.keys import (
    BLOB_BYTES,
    HEADER,
    Level,
    Unit,
    WrappingKey,
    context_of,
    generation_in,
    new_key,
    service_context,
)
from workers.sealing.refusals import Damaged, MalformedKey, Refused
from workers.sealing.unit_key import Lease, UnitKey

small = settings(derandomize=True, max_examples=100, deadline=None, database=None)


@pytest.mark.parametrize("at", range(len(BODY)))
def test_no_byte_of_the_body_may_differ(at: int) -> None:
    spoilt = bytearray(BODY)
    spoilt[at] ^= 0x80
    with pytest.raises(Damaged):
        opener().open(spoilt, METADATA, OBJECT)


@pytest.mark.parametrize("name", sorted(METADATA))
def test_no_character_of_a_header_may_differ(name: str) -> None:
    for at in range(len(METADATA[name])):
        spoilt = METADATA[name][:at] + chr(ord(METADATA[name][at]) ^ 1) + METADATA[name][at + 1 :]
        with pytest.raises(Refused):
            opener().open(BODY, {**METADATA, name: spoilt}, OBJECT)


@small
@given(some_edits)
def test_a_mutated_body_never_opens_to_anything_else(changes: list[Change]) -> None:
    body = edited(BODY, changes)
    try:
        assert opener().open(body, METADATA, OBJECT) == PLAIN
        assert body == BODY
    except Refused:
        assert body != BODY


@small
@given(st.sampled_from(sorted(METADATA)), some_edits)
def test_a_mutated_header_never_opens_to_anything_else(name: str, changes: list[Change]) -> None:
    metadata = {**METADATA, name: edited(METADATA[name].encode(), changes).decode("latin-1")}
    try:
        assert opener().open(BODY, metadata, OBJECT) == PLAIN
    except Refused:
        return
    assert parse_header(metadata) == parse_header(METADATA)  # only JSON has two ways to write one thing


units = st.builds(
    Unit,
    st.sampled_from(["acme", "rival"]),
    st.sampled_from(["web", "app"]),
    st.sampled_from(["2026-11-24", "2026-11-25"]),
    st.sampled_from(list(Clock)),
)
KEYS: dict[Unit, UnitKey] = {}


def sealed(unit: Unit, name: str) -> Sealed:
    return key(unit).seal(f"{unit} {name}".encode(), name)


def key(unit: Unit) -> UnitKey:
    return KEYS.setdefault(
        unit, UnitKey(unit, new_key(), generation=1, durable=True, lease=Lease(float("inf")))
    )


@small
@given(
    units,
    units,
    st.sampled_from(["data/one", "data/two"]),
    st.sampled_from(["data/one", "data/two"]),
    st.sets(st.sampled_from(["body", *sorted(METADATA)])),
)
def test_parts_of_two_objects_never_open_together(
    mine: Unit, others: Unit, name: str, other_name: str, swapped: set[str]
) -> None:
    """Two seals of one name differ too: the swapped parts are those of another time."""
    one, other = sealed(mine, name), sealed(others, other_name)
    parts = {part: (other if part in swapped else one).metadata[part] for part in METADATA}
    body = other.body if "body" in swapped else one.body
    alike = {part for part in METADATA if one.metadata[part] == other.metadata[part]}
    try:
        plain = key(mine).open(body, parts, name)
    except Refused:
        assert swapped - alike
        return
    assert plain == f"{mine} {name}".encode()
    bound = {
        "body",
        "x-amz-3",
        "x-amz-d",
        "x-amz-i",
    }  # all of one time: then the other object itself is asked for
    assert not swapped - alike or (bound <= swapped and (mine, name) == (others, other_name))


@small
@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from(["x-amz-" + c for c in "c3wdimt"] + ["x-amz-key-v2"]), st.text(max_size=20)
        ),
        st.text(max_size=100),
    )
)
def test_any_metadata_parses_or_is_refused(metadata: dict[str, str]) -> None:
    with pytest.raises(Refused):
        parse_header(metadata)


@small
@given(st.sampled_from(sorted(METADATA)), st.text(max_size=300))
def test_any_value_of_a_header_parses_or_is_refused(name: str, value: str) -> None:
    try:
        parse_header({**METADATA, name: value})
    except Refused:
        return
    assert name == "x-amz-3"  # a blob is looked at when it is unwrapped


@small
@given(st.binary(max_size=2 * BLOB_BYTES), st.sampled_from(Level))
def test_any_blob_parses_or_is_refused(blob: bytes, level: Level) -> None:
    with pytest.raises(MalformedKey):
        generation_in(blob, level)


@small
@given(st.one_of(st.binary(max_size=2 * BLOB_BYTES), some_edits), st.booleans())
def test_any_blob_unwraps_to_its_own_key_or_is_refused(blob: bytes | list[Change], headed: bool) -> None:
    context, dek = service_context(context_of(Unit("acme", "web", "2026-11-25", Clock.MAIN), "x")), new_key()
    wrapping = WrappingKey(new_key(), Level.DATA, workspace="acme", day="2026-11-25", generation=1)
    good = wrapping.wrap(dek, context)
    if isinstance(blob, list):
        blob = edited(good, blob)
    elif headed:  # past the first checks
        blob = (good[: HEADER.size] + blob + bytes(BLOB_BYTES))[:BLOB_BYTES]
    try:
        assert wrapping.unwrap(blob, context) == dek
    except Refused:
        assert blob != good
