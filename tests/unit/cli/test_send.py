"""`strongroom send` counts what it sent as what, and refuses a file that it would send for nothing."""

from pathlib import Path
from typing import cast

import pytest

from workers.cli.send import send_file
from workers.errors import Poison
from workers.event_files import Kind, Tally, Unsendable, Wrapping, open_events
from workers.stream.publish import Publisher

ENVELOPE = b'{"v":1,"writeKey":"k1","receivedAt":"2026-11-23T10:00:00.000Z","event":{}}'
CALL = b'{"type":"track","event":"e"}'


class Sends:
    """Takes records of at most 100 bytes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, bytes]] = []

    async def send(self, topic: str, key: bytes | None, value: bytes) -> None:
        if len(value) > 100:
            raise Poison("a record is too large for its topic")
        self.sent.append((topic, key, value))


async def sent_of(tmp_path: Path, content: bytes, wrapping: Wrapping) -> tuple[Sends, Tally, list[int]]:
    file = tmp_path / "events"
    file.write_bytes(content)
    publisher, tally, moves = Sends(), Tally(), list[int]()
    with open_events(str(file)) as events:
        await send_file(cast(Publisher, publisher), "eu-", events, wrapping, tally, moves.append)
    return publisher, tally, moves


async def test_each_line_is_counted_as_what_it_was(tmp_path: Path) -> None:
    content = b"\n".join([ENVELOPE, b"junk", CALL, b"x" * 101, b""])
    publisher, tally, moves = await sent_of(tmp_path, content, Wrapping())
    assert publisher.sent == [
        ("eu-raw-events", b"k1", ENVELOPE),
        ("eu-raw-events", None, b"junk"),
        ("eu-raw-events", None, CALL),
    ]
    assert tally.lines == {Kind.ENVELOPE: 1, Kind.MALFORMED: 1, Kind.KEYLESS: 1, Kind.TOO_LARGE: 1}
    assert (tally.records, tally.bytes) == (3, len(ENVELOPE) + 4 + len(CALL))
    assert sum(moves) == len(content)


async def test_a_file_of_bare_calls_needs_a_write_key(tmp_path: Path) -> None:
    with pytest.raises(Unsendable) as refused:
        await sent_of(tmp_path, CALL, Wrapping())
    assert (refused.value.exit_code, "--write-key" in refused.value.remedy) == (2, True)
