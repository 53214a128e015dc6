"""Cheap traffic for benchmarks and integration tests: envelopes of one size, real shapes, ids of their own.

Half a microsecond to a few a record: what varies is written into byte templates that are made once.
"""

import json
from collections.abc import Iterator
from random import Random

from workers.sample import sessions, shapes, values
from workers.sample.customers import NODE, PYTHON

BEGAN = 1_795_428_000_000  # 2026-11-23T10:00:00Z in ms: every record's time, up to a minute later
TEMPLATES = 4  # a key: two calls of each server SDK
EVENTS = ("Order Shipped", "Invoice Paid", "Email Opened", "Match Ended")
WORDS = (  # noqa: SIM905 - reads better as a line of text
    "harbour tram council stoneware enamel invoice quarter reopens morning checkout parcel courier "
    "winter label ticket été größe 湯のみ чашка 🎉"
).split()

# what a template has in the place of a value that each record has of its own; as long as that value
_MESSAGE = "00000000-0000-4000-8000-0123456789ab"
_ANONYMOUS = "11111111-1111-4111-8111-111111111111"
_STAMP = "2026-11-23T10:00:00.000"
_AMOUNT = 7_777_777


def load_keys(count: int) -> list[str]:
    """The write keys of `records`: 32 letters and digits, the same for every seed."""
    return [f"load{number:028d}" for number in range(count)]


def records(seed: int, count: int, keys: int = 200, size: int = 760) -> Iterator[tuple[bytes, bytes]]:
    """`count` (Kafka key, value) pairs over `keys` write keys: sound envelopes of `size` bytes each.

    Every messageId is unique within a seed and ends in the record's number as 12 hex digits. The same
    arguments give the same bytes. Raises ValueError for a size below the longest call (750 bytes are enough).
    """
    random = Random(seed)  # noqa: S311 - nothing is kept secret with it
    names = [key.encode() for key in load_keys(keys)]
    templates = [[_template(random, key, size) for _ in range(TEMPLATES)] for key in load_keys(keys)]
    bits = random.getrandbits
    anonymous = [values.uuid(random).encode() for _ in range(1024)]
    stamps = [values.iso(BEGAN + bits(16) % 60_000)[:-1].encode() for _ in range(1024)]
    for number in range(count):
        draw = bits(128)
        key = draw % keys
        stamp = stamps[draw >> 8 & 1023]
        head = b"%08x-%04x-4%03x-8%03x-" % (
            draw >> 96,
            draw >> 80 & 65535,
            draw >> 68 & 4095,
            draw >> 56 & 4095,
        )
        yield (
            names[key],
            templates[key][draw >> 18 & 3]
            % {
                b"s": stamp,
                b"a": anonymous[draw >> 20 & 1023],
                b"m": head + b"%012x" % number,
                b"n": 1_000_000 + (draw >> 30 & 0x7FFFFF),
            },
        )


def _template(random: Random, key: str, size: int) -> bytes:
    """A bytes format of an envelope that will have `size` bytes, with the names s, a, m and n."""
    sdk = shapes.sdk(random.choice((NODE, PYTHON)))
    kind = random.choice(("track", "identify", "page"))
    event = random.choice(EVENTS)
    props: dict[str, object] = {"amountCents": _AMOUNT, "note": ""}
    call_values: dict[str, object] = {
        "event": event,
        "properties": props,
        "traits": props,
        "userId": f"u-{random.randrange(10**6):06d}",
        "anonymousId": _ANONYMOUS,
        "category": "Load",
        "name": event,
        "nodeVersion": "v20.20.2",
        "timestamp": f"{_STAMP}Z",
        "timestampOffset": f"{_STAMP}+00:00",
        "ms": BEGAN,
        "uuid": _MESSAGE,
    }
    ip, agent = values.address(random), random.choice(values.BROWSERS).user_agent

    def envelope() -> bytes:
        call = shapes.call(sdk, kind, call_values)
        return sessions.envelope(
            key, BEGAN, call, ip=ip, userAgent=agent if sdk.package == NODE else sdk.user_agent
        )

    props["note"] = _text(random, size - len(envelope()), escaped=sdk.spaced)
    text = envelope().replace(b"%", b"%%")
    for placeholder, name in (
        (_STAMP, b"%(s)b"),
        (_ANONYMOUS, b"%(a)b"),
        (_MESSAGE, b"%(m)b"),
        (str(_AMOUNT), b"%(n)d"),
    ):
        text = text.replace(placeholder.encode(), name)
    return text


def _text(random: Random, length: int, *, escaped: bool) -> str:
    """Words that take `length` bytes in JSON, whether it escapes what is not ASCII or not."""
    if length < 0:
        raise ValueError(f"the size is {-length} bytes too small for a call")
    words: list[str] = []
    while True:
        word = f"{random.choice(WORDS)} "
        size = len(json.dumps(word, ensure_ascii=escaped).encode()) - 2  # without its quotes
        if size > length:
            return "".join(words) + "." * length
        words.append(word)
        length -= size
