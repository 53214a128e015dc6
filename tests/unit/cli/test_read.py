"""`strongroom read --unwrap` prints what the SDKs sent, whatever was in it, and says where it can't."""

import pytest

from workers.cli.read import printed
from workers.errors import Poison
from workers.intake.dispositions import Disposition
from workers.ledger.entries import StoredObject

HALF = b'{ "type":"page", "title":"half \\ud83d" }'
TRACK = b'{"type":"track"}'


def envelope(event: bytes) -> bytes:
    return b'{"v":1,"writeKey":"k1","receivedAt":"2026-11-23T10:00:00.000Z","event":' + event + b"}"


def stored(disposition: Disposition) -> StoredObject:
    return StoredObject(
        key="data/one",
        workspace="acme",
        source="web",
        day="2026-11-23",
        disposition=disposition,
        clock="main",
        records=2,
        plain_bytes=1,
        stored_bytes=1,
        sha256="00",
        key_generation=1,
    )


def test_events_come_out_byte_for_byte_with_half_an_emoji_too() -> None:
    lines = [envelope(TRACK), envelope(HALF)]
    assert list(printed(stored(Disposition.ACCEPTED), lines, unwrap=True)) == [TRACK, HALF]
    assert list(printed(stored(Disposition.ACCEPTED), lines, unwrap=False)) == lines


def test_a_dead_letter_has_nothing_to_unwrap() -> None:
    assert list(printed(stored(Disposition.DEAD_LETTERED), [b"{}"], unwrap=True)) == [b"{}"]


@pytest.mark.parametrize("line", [b"", b"junk", b"{}", b"\xff", b'{"event":"\\ud83d"}', b"[" * 5000])
def test_a_line_without_event_is_named(line: bytes) -> None:
    with pytest.raises(Poison, match="line 2 of data/one holds no event") as refused:
        list(printed(stored(Disposition.FLAGGED), [envelope(TRACK), line], unwrap=True))
    assert "--unwrap" in refused.value.remedy
