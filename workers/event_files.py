"""Reads files of events, and tells what each line is: an envelope, a bare Segment call, or neither."""

import gzip
import io
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec

from topics import exact_json, raw_events
from workers.errors import Poison, StrongroomError

GZIP_MAGIC = b"\x1f\x8b"
LINE_BYTES_MAX = 16 * 1024 * 1024  # a longer line is no event, and must not fill the memory
STDIN = "-"


class Unsendable(StrongroomError):
    """A file can't be read, or is not what was said."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What a collector would have seen around the bare calls."""

    write_key: str | None = None
    origin: str | None = None
    referer: str | None = None
    ip: str | None = None
    user_agent: str | None = None


class Kind(StrEnum):
    ENVELOPE = "envelopes"
    WRAPPED = "wrapped"  # a bare Segment call
    KEYLESS = "without write key"  # a bare call that nothing names a key for: sent as it is, like the next
    MALFORMED = "malformed"  # neither: sent as it is, to become a dead letter
    TOO_LARGE = "too large"  # not sent


class Record(NamedTuple):
    """What a line becomes on raw-events; `key` picks the partition."""

    kind: Kind
    value: bytes
    key: bytes | None


@dataclass(slots=True)
class Tally:
    """How many lines were what, and the bytes sent."""

    lines: Counter[Kind] = field(default_factory=Counter)
    bytes: int = 0

    @property
    def records(self) -> int:
        """What was sent."""
        return self.lines.total() - self.lines[Kind.TOO_LARGE]


NONE, SOME = msgspec.Raw(), msgspec.Raw(b"0")  # false and true


class _Head(msgspec.Struct, rename="camel"):
    """What tells an envelope from a bare call."""

    v: msgspec.Raw = NONE
    write_key: str | None = None
    event: msgspec.Raw = NONE  # of a bare `track` call: its name
    type: str | None = None


_decode_head = msgspec.json.Decoder(_Head).decode


def _head(line: bytes) -> _Head:
    """Raises ValueError for what is no such object."""
    try:
        return _decode_head(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        document = exact_json.parse(line.decode())
    if not isinstance(document, dict):
        raise ValueError("no object")
    v, event = (SOME if name in document else NONE for name in ("v", "event"))
    write_key, kind = document.get("writeKey"), document.get("type")
    if not isinstance(write_key, str | None) or not isinstance(kind, str | None):
        raise ValueError("no text")
    return _Head(v, write_key, event, kind)


def as_record(line: bytes, wrapping: Wrapping) -> Record:
    """What to send for a line. Never raises: what can't be used goes as it is, to become a dead letter."""
    try:
        head = _head(line)
    except ValueError:
        return Record(Kind.MALFORMED, line, None)
    if head.v and head.write_key and head.event:
        return Record(Kind.ENVELOPE, line, raw_events.record_key(head.write_key))
    if head.v or head.type is None:
        return Record(Kind.MALFORMED, line, None)
    key = head.write_key or wrapping.write_key
    if key is None:
        return Record(Kind.KEYLESS, line, None)
    now = time.time_ns() // 1_000_000
    witnesses = wrapping.origin, wrapping.referer, wrapping.ip, wrapping.user_agent
    try:
        value = raw_events.wrap(line, key, *witnesses, now)
    except Poison:  # no call after all
        return Record(Kind.MALFORMED, line, None)
    return Record(Kind.WRAPPED, value, raw_events.record_key(key))


class EventFile:
    """An open file of lines. `place` is in bytes of the file as it lies there, `size` None where unknown."""

    def __init__(self, name: str, raw: io.RawIOBase, size: int | None) -> None:
        self.name = name
        self.size = size
        self._raw = raw
        buffered = io.BufferedReader(raw, 1 << 16)
        packed = buffered.peek(2)[:2] == GZIP_MAGIC
        self._lines: io.BufferedIOBase = gzip.GzipFile(fileobj=buffered) if packed else buffered

    @property
    def place(self) -> int:
        return self._raw.tell() if self.size is not None else 0

    def lines(self, tally: Tally) -> Iterator[bytes]:
        """Lines without their line feeds, blank ones left out, endless ones counted as too large."""
        try:
            while line := self._lines.readline(LINE_BYTES_MAX + 1):
                if len(line.removesuffix(b"\n")) > LINE_BYTES_MAX:
                    tally.lines[Kind.TOO_LARGE] += 1
                    while line and not line.endswith(b"\n"):
                        line = self._lines.readline(LINE_BYTES_MAX)
                elif line.strip():
                    yield line.removesuffix(b"\n")
        except (OSError, EOFError, zlib.error) as error:
            raise Unsendable(f"{self.name} can't be read to its end: {error}") from None


@contextmanager
def open_events(name: str) -> Iterator[EventFile]:
    """`-` is standard input. Raises Unsendable."""
    if name == STDIN:
        with open(0, "rb", buffering=0, closefd=False) as raw:
            yield EventFile("standard input", raw, None)
        return
    try:
        raw = Path(name).open("rb", buffering=0)  # noqa: SIM115 - closed below; only opening is tried
    except OSError as error:
        raise Unsendable(f"{name} can't be read: {error.strerror}") from None
    with raw:
        yield EventFile(name, raw, Path(name).stat().st_size)
