"""Every way to spoil a sealed object that has a name, and mutations that have none: all refused."""

import hashlib
import traceback
from base64 import b64decode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.sealing.load import vectors
from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.sealing import refusals
from workers.sealing.format import parse_header
from workers.sealing.keys import BLOB_BYTES, Level, Secret, Unit, generation_in
from workers.sealing.refusals import MalformedKey, Refused
from workers.sealing.unit_key import Lease, UnitKey

GOOD = vectors("ours/opens.json")
BODY, METADATA, OBJECT, PLAIN = (
    b64decode(GOOD["body"]),
    GOOD["metadata"],
    GOOD["object"],
    b64decode(GOOD["plain"]),
)
REFUSED = vectors("ours/refused.json")


def key_of(unit: Unit, secret: bytes) -> UnitKey:
    return UnitKey(
        unit, Secret(secret), generation=GOOD["generation"], durable=True, lease=Lease(float("inf"))
    )


def unit_of(**changes: str) -> Unit:
    fields = dict(zip(("workspace", "source", "day", "clock"), GOOD["unit"], strict=True)) | changes
    return Unit(fields["workspace"], fields["source"], fields["day"], Clock(fields["clock"]))


def opener() -> UnitKey:
    return key_of(unit_of(), bytes.fromhex(GOOD["key"]))


def said(error: BaseException) -> str:
    """All that a log could come to hold of an error, a traceback with the values of locals included."""
    rendered = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join([str(error), repr(error), *rendered.format()])


def test_there_are_enough_and_no_two_have_one_name() -> None:
    names = [case["name"] for case in REFUSED]
    assert len(set(names)) == len(names) >= 100
    kinds = {case["refusal"] for case in REFUSED}
    assert kinds == {
        "Damaged", "ForeignKey", "LegacyFormat", "MalformedHeader", "MalformedKey", "MixedVersions",
        "NotSealed", "UnknownSuite", "UnknownWrapping", "WrongCommitment", "WrongContext", "WrongKey",
    }  # fmt: skip


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: str(case["name"]))
def test_refused(case: dict[str, Any]) -> None:
    asked = dict(case["asked"])
    wanted = asked.pop("object", OBJECT)
    unit = unit_of(**asked)
    key = key_of(unit, hashlib.sha512("/".join(unit).encode()).digest()[:32])
    with pytest.raises(Refused) as refused:
        key.open(b64decode(case["body"]), case["metadata"], wanted)
    assert type(refused.value) is getattr(refusals, case["refusal"])
    assert isinstance(refused.value, Poison)
    assert refused.value.__context__ is None or refused.value.__suppress_context__
    spoken = said(refused.value)
    if b64decode(case["body"]) != PLAIN:  # that one's "ciphertext" is the plaintext, and is in the locals
        assert "PLANTED-PLAINTEXT" not in spoken


def test_the_wrong_unit_key_is_refused() -> None:
    with pytest.raises(refusals.WrongKey):
        key_of(unit_of(), bytes(32)).open(BODY, METADATA, OBJECT)


def test_the_unspoilt_object_opens() -> None:
    assert opener().open(BODY, METADATA, OBJECT) == PLAIN


@pytest.mark.parametrize("at", range(len(BODY)))
def test_no_byte_of_the_body_may_differ(at: int) -> None:
    spoilt = bytearray(BODY)
    spoilt[at] ^= 0x80
    with pytest.raises(refusals.Damaged):
        opener().open(spoilt, METADATA, OBJECT)


@pytest.mark.parametrize("name", sorted(METADATA))
def test_no_character_of_a_header_may_differ(name: str) -> None:
    for at in range(len(METADATA[name])):
        spoilt = METADATA[name][:at] + chr(ord(METADATA[name][at]) ^ 1) + METADATA[name][at + 1 :]
        with pytest.raises(Refused):
            opener().open(BODY, {**METADATA, name: spoilt}, OBJECT)


edits = st.one_of(
    st.tuples(st.just("set"), st.integers(0, 400), st.integers(0, 255)),
    st.tuples(st.just("cut"), st.integers(0, 400), st.integers(1, 40)),
    st.tuples(st.just("put"), st.integers(0, 400), st.binary(min_size=1, max_size=40)),
)


def edited(data: bytes, edit: tuple[str, int, Any]) -> bytes:
    kind, at, what = edit
    at %= len(data) + 1
    if kind == "set":
        return data[:at] + bytes([what]) + data[at + 1 :]
    return data[:at] + data[at + what :] if kind == "cut" else data[:at] + what + data[at:]


@given(st.lists(edits, min_size=1, max_size=4))
def test_a_mutated_body_never_opens_to_anything_else(changes: list[tuple[str, int, Any]]) -> None:
    body = BODY
    for change in changes:
        body = edited(body, change)
    try:
        assert opener().open(body, METADATA, OBJECT) == PLAIN
        assert body == BODY
    except Refused:
        assert body != BODY


@given(st.sampled_from(sorted(METADATA)), st.lists(edits, min_size=1, max_size=3))
def test_a_mutated_header_never_opens_to_anything_else(
    name: str, changes: list[tuple[str, int, Any]]
) -> None:
    value = METADATA[name].encode()
    for change in changes:
        value = edited(value, change)
    metadata = {**METADATA, name: value.decode("latin-1")}
    try:
        assert opener().open(BODY, metadata, OBJECT) == PLAIN
    except Refused:
        return
    assert parse_header(metadata) == parse_header(METADATA)  # only JSON has two ways to write one thing


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


@given(st.binary(max_size=2 * BLOB_BYTES), st.sampled_from(Level))
def test_any_blob_parses_or_is_refused(blob: bytes, level: Level) -> None:
    with pytest.raises(MalformedKey):
        generation_in(blob, level)
