"""What all contenders archive: seeded records of many customers, some of whose keys are on a drop list."""

import json
from bisect import bisect
from collections.abc import Iterable, Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

from workers.sample import sessions, values
from workers.sample.load import BEGAN, load_keys, records

KEYS, WORKSPACES = 200, 50
DROPPED = 10  # keys: of the middle ranks, so that a few records in a hundred go
SMALL = b'{"v":1,"writeKey":"%s","receivedAt":"","event":{"messageId":"%012x"}}'
PAGES = 8  # of a key's site, a power of two
WORDS = ("harbour", "tram", "stoneware", "enamel", "parcel", "morning", "council", "label", "winter")
RECEIVED = BEGAN + 42_197  # ms
ANONYMOUS, MESSAGE = "1" * 36, "2" * (len("ajs-next-1795428000-") + 21)
MESSAGE_ID = rb'"messageId": ?"[^"]*([0-9a-f]{12})"'  # ends in the record's number


class Profile(NamedTuple):
    name: str
    size: int  # bytes a record
    batch: int  # plain bytes of a flush
    browsers: bool = False  # records name the page that they come from


PROFILES = {
    "segment": Profile("segment", 760, 64 * 1024 * 1024),
    "browser": Profile("browser", 760, 64 * 1024 * 1024, browsers=True),
    "small": Profile("small", 78, 16 * 1024 * 1024),
}


def host_of(number: int) -> str:
    """Where the pages of the number-th key are."""
    return f"www.shop-{number}.example"


def keys_of(profile: Profile) -> list[str]:
    return load_keys(KEYS) if profile.name != "small" else [f"k{number:03}" for number in range(KEYS)]


def dropped_keys(profile: Profile) -> list[str]:
    return keys_of(profile)[60 : 60 + DROPPED]


def workload(profile: Profile, count: int) -> Iterator[tuple[bytes, bytes]]:
    """`count` (Kafka key, value) pairs; how often each key comes follows Zipf's law."""
    random = Random(count)
    names = [key.encode() for key in keys_of(profile)]
    bounds = list(accumulate(1 / rank for rank in range(1, KEYS + 1)))
    whole = bounds[-1]
    draws = (names[bisect(bounds, random.random() * whole)] for _ in range(count))
    if profile.name == "small":
        for number, key in enumerate(draws):
            yield (
                key,
                SMALL % (key, number),
            )
        return
    if profile.browsers:
        yield from _calls_of_browsers(random, draws, profile.size)
        return
    for (drawn, value), key in zip(records(1, count, KEYS, profile.size), draws, strict=True):
        yield key, value.replace(drawn, key, 1)


def _calls_of_browsers(random: Random, draws: Iterable[bytes], size: int) -> Iterator[tuple[bytes, bytes]]:
    """Short calls of Segment's browser SDK, from the pages of a key's own site."""
    numbers = {key.encode(): number for number, key in enumerate(load_keys(KEYS))}
    visitors = [values.uuid(random).encode() for _ in range(1024)]
    pages: dict[bytes, list[bytes]] = {}
    for number, key in enumerate(draws):
        made = pages.get(key)
        if made is None:
            own = host_of(numbers[key])
            made = pages[key] = [_call_of_a_browser(random, key.decode(), own, size) for _ in range(PAGES)]
        draw = random.getrandbits(64)
        ids = (visitors[draw >> 32 & 1023], b"%08x-%012x" % (draw & 0xFFFFFFFF, number))
        yield key, made[draw >> 48 & PAGES - 1] % ids


def _call_of_a_browser(random: Random, key: str, host: str, size: int) -> bytes:
    """A bytes format of an envelope of `size` bytes, for an anonymousId and a messageId."""
    origin, path = f"https://{host}", f"/c/{random.choice(WORDS)}"
    agent, ip = random.choice(values.BROWSERS).user_agent, values.address(Random(path))

    def made(note: str) -> bytes:
        page = {"path": path, "referrer": f"{origin}/", "title": "Shop", "url": f"{origin}{path}"}
        call = {
            "type": "track",
            "event": "Product Viewed",
            "properties": {"note": note},
            "context": {"page": page, "library": {"name": "analytics.js", "version": "next-1.84.3"}},
            "anonymousId": ANONYMOUS,
            "messageId": MESSAGE,
        }
        sent = json.dumps(call, separators=(",", ":")).encode()
        return sessions.envelope(key, RECEIVED, sent, ip=ip, origin=origin, userAgent=agent)

    text, note = made(""), ""
    while len(text) < size:
        note += f"{random.choice(WORDS)} "
        text = made(note)
    text = made(note[: len(note) + size - len(text)]).replace(b"%", b"%%")
    assert len(text) == size, len(text)
    return text.replace(ANONYMOUS.encode(), b"%b").replace(MESSAGE.encode(), b"ajs-next-1795428000-%b")
