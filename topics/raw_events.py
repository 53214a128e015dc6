"""raw-events: what arrives. One JSON envelope a record around one Segment call, keyed by the write key.

The only topic that carries payload. The schema is what a collector sends. The archive judges by
workers/intake/envelope.py instead: that builds no value, and takes what the schema refuses where nothing
hangs on it, such as lone surrogates in a call, or an `ip` that is no string.
"""

import json
from typing import ClassVar

import msgspec

from topics import exact_json
from topics.codec import Codec, TopicValue
from topics.times import iso_ms
from workers.errors import Poison

NAME = "raw-events"


class Envelope(TopicValue, frozen=True, kw_only=True, rename="camel"):
    max_bytes: ClassVar[int] = 1_000_000  # with its framing, below what Kafka's clients send by default

    v: int  # required here: the hot path tells an envelope from a bare call by it
    write_key: str
    received_at: str  # ISO 8601 in UTC, by the collector's clock
    ip: str | None = None
    origin: str | None = None  # the HTTP headers that the collector saw: witnesses
    referer: str | None = None
    user_agent: str | None = None
    event: msgspec.Raw  # one call, byte for byte as the SDK sent it


codec = Codec(Envelope)
_call = msgspec.json.Decoder(dict[str, msgspec.Raw])


def record_key(write_key: str) -> bytes:
    """The Kafka key of an envelope's record; it only picks a partition, so any text will do."""
    return write_key.encode(errors="replace")


def wrap(
    call_bytes: bytes,
    write_key: str,
    origin: str | None,
    referer: str | None,
    ip: str | None,
    user_agent: str | None,
    received_at: int,
) -> bytes:
    """The envelope, as a collector would send it, of one JSON call that came at `received_at` (epoch ms).

    Raises Poison for a call that is no JSON object, or too large.
    """
    call = call_bytes.strip()  # white space around the call is the file's, not the SDK's
    try:
        _check(call)
    except ValueError as error:
        raise Poison(f"not a call: {error}", remedy="Each call is one JSON object in UTF-8") from None
    head = {"v": Envelope.version, "writeKey": write_key, "receivedAt": iso_ms(received_at)}
    witnesses = {"ip": ip, "origin": origin, "referer": referer, "userAgent": user_agent}
    head |= {name: value for name, value in witnesses.items() if value is not None}
    # as escapes: a write key may have lone surrogates too
    start = json.dumps(head, separators=(",", ":")).encode()
    envelope = start[:-1] + b',"event":' + call + b"}"
    if len(envelope) > Envelope.max_bytes:
        raise Poison(f"a call of {len(call)} bytes is too large", remedy=f"{Envelope.max_bytes} are allowed")
    return envelope


def _check(call: bytes) -> None:
    """Raises ValueError unless it is a JSON object."""
    text = call.decode()
    try:
        _call.decode(call)
    except (msgspec.MsgspecError, RecursionError):
        if not isinstance(exact_json.parse(text), dict):
            raise ValueError("no JSON object") from None
