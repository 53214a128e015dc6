"""raw-events: what arrives. One JSON envelope a record around one Segment call, keyed by the write key.

The only topic that carries payload. The archive reads it with workers/intake/envelope.py, which is faster:
it builds no value. Both agree on what an envelope is.
"""

from typing import ClassVar

import msgspec

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
_encode = msgspec.json.Encoder().encode


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
        _call.decode(call)
        call.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Poison(f"not a call: {error}", remedy="Each call is one JSON object in UTF-8") from None
    head = {"v": Envelope.version, "writeKey": write_key, "receivedAt": iso_ms(received_at)}
    witnesses = {"ip": ip, "origin": origin, "referer": referer, "userAgent": user_agent}
    head |= {name: value for name, value in witnesses.items() if value is not None}
    envelope = _encode(head)[:-1] + b',"event":' + call + b"}"
    if len(envelope) > Envelope.max_bytes:
        raise Poison(f"a call of {len(call)} bytes is too large", remedy=f"{Envelope.max_bytes} are allowed")
    return envelope
