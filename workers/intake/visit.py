"""What the observer reads of a record that was archived: its witnesses, its page, and who sent it."""

from typing import Any, Literal

import msgspec

from topics import exact_json
from workers.intake import envelope
from workers.intake.envelope import Envelope

ODD_BYTES_MAX = 64 * 1024  # of a span's records of one source that are read slowly: some 15 µs a KiB


class Visit(msgspec.Struct, gc=False):
    """None is what was not sent, or has another type than the specification's."""

    envelope: Envelope
    ip: str | None
    user_agent: str | None
    path: str | None
    title: str | None
    anonymous_id: str | int | None
    user_id: str | int | None


class VisitReader:
    """For one span and source: what it may spend on odd records is bounded."""

    def __init__(self) -> None:
        self._odd_left = ODD_BYTES_MAX

    def read(self, line: bytes) -> Visit | None:
        """None for a record that is not read: one of many odd ones."""
        try:
            record = _decode(line)
        except envelope.REFUSED:
            self._odd_left -= len(line)
            return _by_fields(line) if self._odd_left >= 0 else None
        event = record.event
        page = event.context.page if event.context is not None else None
        read = Envelope(1, record.write_key, "", event, record.origin, record.referer)
        path, title = (page.path, page.title) if page is not None else (None, None)
        return Visit(read, record.ip, record.user_agent, path, title, event.anonymous_id, event.user_id)


class _Page(envelope.Page):
    path: str | None = None
    title: str | None = None


class _Context(envelope.Context):
    page: _Page | None = None


class _Event(envelope.Event, rename="camel"):
    anonymous_id: str | int | None = None
    user_id: str | int | None = None
    context: _Context | None = None


class _Record(msgspec.Struct, rename="camel"):
    v: Literal[1]
    write_key: str
    received_at: str
    event: _Event
    origin: str | None = None
    referer: str | None = None
    ip: str | None = None
    user_agent: str | None = None


_decode = msgspec.json.Decoder(_Record).decode


def _by_fields(line: bytes) -> Visit | None:
    """Of odd types, or with half an emoji in its title (envelope.read): a copier can send either at will."""
    try:
        read = envelope.read(line)
        document = exact_json.parse(line.decode())
    except (envelope.Unreadable, ValueError):
        return None
    event = document["event"]
    context = event.get("context")
    page = context.get("page") if isinstance(context, dict) else None
    path, title = (page.get("path"), page.get("title")) if isinstance(page, dict) else (None, None)
    if not (isinstance(path, str | None) and isinstance(title, str | None)):
        path = title = None  # half a page would be one that the customer lacks, which speaks for a copy
    return Visit(
        read,
        _text(document.get("ip")),
        _text(document.get("userAgent")),
        path,
        title,
        _identity(event.get("anonymousId")),
        _identity(event.get("userId")),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _identity(value: Any) -> str | int | None:
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None
