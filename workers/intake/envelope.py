"""Reads what the rules need of a raw event (docs/architecture.md, The envelope), and proves the rest JSON.

The hot path is one call of `decode`: msgspec walks the whole value, builds only the fields below and refuses
whatever is not JSON. It does not look at UTF-8 in strings that it skips: who calls it does. Whatever is
refused goes to `read`, which is slow and exact.
"""

from typing import Any, Literal

import msgspec

from topics import exact_json

VERSION = 1
RECORD_BYTES_MAX = 1024 * 1024


class Page(msgspec.Struct, gc=False):
    url: str | None = None
    referrer: str | None = None


class Context(msgspec.Struct, gc=False):
    page: Page | None = None


class Event(msgspec.Struct, gc=False):
    context: Context | None = None


class Envelope(msgspec.Struct, gc=False, rename="camel"):
    v: Literal[1]
    write_key: str
    received_at: str
    event: Event  # the customer's: whatever it holds, it never makes an envelope malformed
    origin: str | None = None
    referer: str | None = None

    @property
    def page(self) -> Page | None:
        """What the page claims about itself."""
        return self.event.context.page if self.event.context is not None else None


decode = msgspec.json.Decoder(Envelope).decode
REFUSED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # what `decode` raises

UNREADABLE = {
    "empty": "The record has no bytes, or no value at all.",
    "oversized": "The value is longer than the limit for one record.",
    "not_json": "The value is not one JSON text in UTF-8 (RFC 8259), or is nested too deeply to be read.",
    "no_envelope": "JSON, but v, writeKey, receivedAt or event is missing, or has, like origin or referer, "
    "another type than an envelope's.",
    "unknown_version": "An envelope of a version that this program does not read.",
}


class Unreadable(Exception):
    """Why a record is a dead letter: one of UNREADABLE."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def measured(value: bytes | None, limit: int) -> bytes:
    """`value`, if it has bytes and not more than `limit`. Raises Unreadable."""
    if not value:
        raise Unreadable("empty")
    if len(value) > limit:
        raise Unreadable("oversized")
    return value


def read(value: bytes) -> Envelope:
    """The envelope in `value`. Raises Unreadable.

    Takes what `decode` refuses although it is good: an event with odd types, and lone surrogates written as
    escapes, which is how browsers write a title that was cut through an emoji (RFC 8259, 8.2).
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise Unreadable("not_json") from None
    try:
        loose = _decode_loose(value)
    except msgspec.ValidationError:
        return _by_the_book(text)
    except (msgspec.DecodeError, RecursionError):
        # of all JSON, msgspec refuses lone surrogates alone
        if "\\ud" not in text and "\\uD" not in text:
            raise Unreadable("not_json") from None
        return _by_the_book(text)
    try:
        context = msgspec.json.decode(loose.event.context) if loose.event.context else None
    except REFUSED:  # a number beyond its range: still JSON
        return _by_the_book(text)
    page = _page(context)
    return Envelope(1, loose.write_key, loose.received_at, Event(Context(page)), loose.origin, loose.referer)


def event_bytes(value: bytes) -> bytes:
    """The event of an envelope that the archive took, byte for byte. Raises Unreadable."""
    try:
        return bytes(_decode_call(value).event)
    except REFUSED:
        read(value)
        event = exact_json.member(value.decode(), "event")
        assert event is not None  # noqa: S101  # `read` has seen it
        return event.encode()


class _Call(msgspec.Struct):
    event: msgspec.Raw


_decode_call = msgspec.json.Decoder(_Call).decode


class _LooseEvent(msgspec.Struct):
    context: msgspec.Raw = msgspec.Raw()


class _LooseEnvelope(msgspec.Struct, rename="camel"):
    v: Literal[1]
    write_key: str
    received_at: str
    event: _LooseEvent
    origin: str | None = None
    referer: str | None = None


_decode_loose = msgspec.json.Decoder(_LooseEnvelope).decode


def _by_the_book(text: str) -> Envelope:
    """By Python's own parser, field by field."""
    try:
        document = exact_json.parse(text)
    except ValueError:
        raise Unreadable("not_json") from None
    if not isinstance(document, dict):
        raise Unreadable("no_envelope")
    version = document.get("v")
    if type(version) is not int:
        raise Unreadable("no_envelope")
    if version != VERSION:
        raise Unreadable("unknown_version")
    write_key, received_at, event = (document.get(name) for name in ("writeKey", "receivedAt", "event"))
    origin, referer = document.get("origin"), document.get("referer")
    if not (
        isinstance(write_key, str)
        and isinstance(received_at, str)
        and isinstance(event, dict)
        and isinstance(origin, str | None)
        and isinstance(referer, str | None)
    ):
        raise Unreadable("no_envelope")
    page = _page(event.get("context"))
    return Envelope(1, write_key, received_at, Event(Context(page)), origin, referer)


def _page(context: Any) -> Page | None:
    """The strings of its page, if it has that shape."""
    page = context.get("page") if isinstance(context, dict) else None
    if not isinstance(page, dict):
        return None
    url, referrer = page.get("url"), page.get("referrer")
    return Page(url if isinstance(url, str) else None, referrer if isinstance(referrer, str) else None)
