"""Envelopes as `strongroom send` makes them: the call byte for byte, witnesses as given."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics.raw_events import Envelope, codec, record_key, wrap
from topics.times import iso_ms
from workers.errors import Poison

AT = 1_795_514_400_000  # 2026-11-24T10:00:00Z
CALL = '{ "type": "page",\t"n": 1.50, "n2": 12345678901234567890123, "name": "caf\\u00e9 é" }'.encode()


def test_an_envelope_is_what_a_collector_sends() -> None:
    envelope = wrap(
        CALL, "k1", "https://shop.example", "https://shop.example/cart", "203.0.113.9", "UA/1", AT
    )
    assert json.loads(envelope) == {
        "v": 1,
        "writeKey": "k1",
        "receivedAt": "2026-11-24T10:00:00.000Z",
        "ip": "203.0.113.9",
        "origin": "https://shop.example",
        "referer": "https://shop.example/cart",
        "userAgent": "UA/1",
        "event": json.loads(CALL),
    }
    assert CALL in envelope


def test_headers_that_were_not_there_are_left_out() -> None:
    assert list(json.loads(wrap(b"{}", "k1", None, None, None, None, AT))) == [
        "v", "writeKey", "receivedAt", "event",
    ]  # fmt: skip


def test_the_schema_reads_what_wrap_writes_and_keeps_the_call() -> None:
    value = codec.decode(wrap(CALL + b"\n", "k1", None, "", None, None, AT))
    assert (value.write_key, value.origin, value.referer, bytes(value.event)) == ("k1", None, "", CALL)
    assert bytes(codec.decode(codec.encode(value)).event) == CALL


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.characters(exclude_categories=["Cs"])) | st.none(),
)
def test_any_key_and_header_comes_back(key: str, header: str | None) -> None:
    value = codec.decode(wrap(b"{}", key, header, header, header, header, AT))
    assert (value.write_key, value.origin, value.referer, value.ip, value.user_agent) == (key, *[header] * 4)
    assert record_key(key) == key.encode()


def test_half_an_emoji_is_no_reason_to_refuse_a_call() -> None:
    call = b'{"type":"page","title":"half \\ud83d"}'
    envelope = wrap(call, "half \ud83d", None, None, None, None, AT)
    assert envelope.endswith(b',"event":' + call + b"}")
    assert json.loads(envelope)["writeKey"] == "half \ud83d"


@pytest.mark.parametrize(
    "call",
    [
        b'"\\ud83d"',
        b'{"a":"\\ud83d"',
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}{}",
        b'{"a":1}x',
        b'{"a":"\xff"}',
        b"{'a':1}",
        b'{"a":' * 9_999,
    ],
)
def test_what_is_no_call_is_refused(call: bytes) -> None:
    with pytest.raises(Poison, match="not a call"):
        wrap(call, "k1", None, None, None, None, AT)


def test_a_call_that_does_not_fit_is_refused() -> None:
    with pytest.raises(Poison, match="too large"):
        wrap(b'{"a":"' + b"x" * Envelope.max_bytes + b'"}', "k1", None, None, None, None, AT)


@pytest.mark.parametrize("field", ["v", "writeKey", "receivedAt", "event"])
def test_each_required_field_is_required(field: str) -> None:
    fields = json.loads(wrap(b"{}", "k1", None, None, None, None, AT))
    del fields[field]
    with pytest.raises(Poison, match=field):
        codec.decode(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (AT + 999, "2026-11-24T10:00:00.999Z"),
    ],
)
def test_times_have_milliseconds_and_a_z(ms: int, text: str) -> None:
    assert iso_ms(ms) == text
