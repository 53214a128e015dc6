"""Files of events: read line by line in bounded memory, each line sent as what it is."""

import gzip
import json
from pathlib import Path

import pytest

from workers import event_files
from workers.event_files import Kind, Tally, Unsendable, Wrapping, as_record, open_events

ENVELOPE = b'{"v":1,"writeKey":"k1","receivedAt":"2026-11-23T10:00:00.000Z","event":{"type":"track"}}'
CALL = b'{"type":"track","event":"Bought","userId":"u"}'


def test_an_envelope_goes_as_it_is_keyed_by_its_write_key() -> None:
    assert as_record(ENVELOPE, Wrapping("other")) == (Kind.ENVELOPE, ENVELOPE, b"k1")


def test_an_envelope_of_another_version_goes_as_it_is() -> None:
    later = ENVELOPE.replace(b'"v":1', b'"v":"two"')
    assert as_record(later, Wrapping()) == (Kind.ENVELOPE, later, b"k1")


def test_a_bare_call_is_wrapped_byte_for_byte() -> None:
    record = as_record(
        CALL, Wrapping("k2", "https://shop.example", "https://shop.example/a", "203.0.113.9", "UA")
    )
    assert (record.kind, record.key) == (Kind.WRAPPED, b"k2")
    assert record.value.endswith(b'"event":' + CALL + b"}")
    envelope = json.loads(record.value)
    assert (envelope["writeKey"], envelope["origin"], envelope["userAgent"]) == (
        "k2",
        "https://shop.example",
        "UA",
    )


def test_a_bare_call_that_names_its_write_key_needs_no_other() -> None:
    assert as_record(b'{"type":"track","event":"e","writeKey":"own"}', Wrapping()).key == b"own"


def test_half_an_emoji_makes_no_difference() -> None:
    half = b'"title":"half \\ud83d",'
    envelope = ENVELOPE.replace(b'"type"', half + b'"type"')
    assert as_record(envelope, Wrapping("other")) == (Kind.ENVELOPE, envelope, b"k1")
    call = CALL.replace(b'"type"', half + b'"type"')
    wrapped = as_record(call, Wrapping("k2"))
    assert (wrapped.kind, wrapped.key) == (Kind.WRAPPED, b"k2")
    assert wrapped.value.endswith(b',"event":' + call + b"}")
    own = call.replace(half, half + b'"writeKey":"\\udc00",')
    assert as_record(own, Wrapping("k2"))[::2] == (Kind.WRAPPED, b"?")
    assert as_record(call, Wrapping()) == (Kind.KEYLESS, call, None)


@pytest.mark.parametrize(
    "line",
    [
        b'["\\ud83d"]',
        b'{"title":"\\ud83d"}',
        b'{"type":7,"title":"\\ud83d"}',
        b'{"v":1,"writeKey":7,"event":{},"title":"\\ud83d"}',
        b'{"type":"track","title":"\\ud83d","\xff":1}',
        b"junk",
        b"{",
        b"[]",
        b"1",
        b"{}",
        b'{"v":1}',
        b'{"v":1,"type":"track"}',
        b"\xff\xfe",
        b"[" * 5000,
    ],
)
def test_other_lines_go_as_they_are(line: bytes) -> None:
    assert as_record(line, Wrapping("k")) == (Kind.MALFORMED, line, None)


def test_a_bare_call_without_a_write_key_goes_as_it_is_and_is_told_apart() -> None:
    assert as_record(CALL, Wrapping()) == (Kind.KEYLESS, CALL, None)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_lines_come_back_from_plain_and_gzip_files(tmp_path: Path, pack: type[bytes]) -> None:
    file = tmp_path / "events"
    file.write_bytes(pack(b"one\n\n  \ntwo\r\nlast"))
    with open_events(str(file)) as events:
        assert list(events.lines(Tally())) == [b"one", b"two\r", b"last"]
        assert events.place == events.size


def test_a_line_without_end_is_counted_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_files, "LINE_BYTES_MAX", 10)
    file = tmp_path / "events"
    file.write_bytes(b"short\n" + b"x" * 35 + b"\nexactly10!\n" + b"y" * 11)
    tally = Tally()
    with open_events(str(file)) as events:
        assert list(events.lines(tally)) == [b"short", b"exactly10!"]
    assert tally.lines[Kind.TOO_LARGE] == 2


def test_a_cut_gzip_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "events.gz"
    file.write_bytes(gzip.compress(b"line\n" * 1000)[:-12])
    with (
        open_events(str(file)) as events,
        pytest.raises(Unsendable, match=r"events\.gz can't be read to its end"),
    ):
        list(events.lines(Tally()))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unsendable, match="No such file"), open_events(str(tmp_path / "none")):
        pass
