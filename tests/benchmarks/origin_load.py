"""Browsers' traffic for a benchmark of origins: own pages, copies under a verdict, and other foreign hosts.

760-byte calls, shorter than the SDK's own (1,400 to 1,900): what origins cost is the larger share of each.
"""

import json
from collections.abc import Iterator
from random import Random

from workers.sample import values
from workers.sample.load import BEGAN, load_keys
from workers.sample.sessions import envelope

SIZE = 760  # bytes a record
PAGES = 200  # a site
VISITORS = 4096
SCRAPED = 20  # one key in so many has a copy, and another foreign host
FOREIGN = 5  # one of such a key's records in so many; half of them are the copy's

# what a template has in the place of a value that each record has of its own; as long as that value
_MESSAGE = "00000000-0000-4000-8000-0123456789ab"
_VISITOR = "11111111-1111-4111-8111-111111111111"
_ADDRESS = "192.0.299.9"
_PATH = "/p/777777"


def own(number: int) -> str:
    """The host of a key's site."""
    return f"www.shop-{number}.example"


def copy(number: int) -> str:
    """A host that has a verdict for this key."""
    return f"copy-{number}.test-mirror.com"


def stranger(number: int) -> str:
    """A foreign host that has none."""
    return f"blog-{number}.elsewhere.org"


def scraped(number: int) -> bool:
    return number % SCRAPED == 0


def records(seed: int, count: int, keys: int) -> Iterator[tuple[bytes, bytes]]:
    """`count` (Kafka key, value) pairs over `load_keys(keys)`, no two of which are the same.

    A messageId ends in the record's number as 12 hex digits. The same arguments give the same bytes.
    """
    random = Random(seed)
    names = [key.encode() for key in load_keys(keys)]
    sites = [
        [_template(random, key, number, host) for host in (own(number), copy(number), stranger(number))]
        for number, key in enumerate(load_keys(keys))
    ]
    visitors = [values.uuid(random).encode() for _ in range(VISITORS)]
    addresses = [f"203.0.{random.randrange(100, 200)}.7".encode() for _ in range(256)]  # 100 networks
    bits = random.getrandbits
    for count_of in range(count):
        draw = bits(96)
        key = draw % keys
        which = 0
        if scraped(key) and (draw >> 8) % FOREIGN == 0:
            which = 1 + (draw >> 16 & 1)
        yield (
            names[key],
            sites[key][which]
            % {
                b"m": b"%08x-%04x-4%03x-8%03x-%012x"
                % (draw >> 64, draw >> 48 & 65535, draw >> 32 & 4095, draw >> 20 & 4095, count_of),
                b"v": visitors[draw >> 24 & VISITORS - 1],
                b"a": addresses[draw >> 36 & 255],
                b"p": b"/p/%06d" % ((draw >> 44) % PAGES),
            },
        )


def _template(random: Random, key: str, number: int, witness: str) -> bytes:
    """A bytes format of an envelope of SIZE bytes, with the names m, v, a and p."""
    at = values.iso(BEGAN)
    page = {
        "path": _PATH,
        "referrer": f"https://{witness}/c",
        "search": "",
        "title": f"Mug {_PATH}",
        # a copy keeps the page's absolute canonical link; other foreign hosts have pages of their own
        "url": f"https://{own(number) if witness == copy(number) else witness}{_PATH}",
    }
    event = {
        "type": "page",
        "messageId": _MESSAGE,
        "anonymousId": _VISITOR,
        "timestamp": at,
        "context": {"page": page, "library": {"name": "analytics.js", "version": "next-1.84.3"}},
        "properties": {"note": ""},
    }
    headers = {
        "ip": _ADDRESS,
        "origin": f"https://{witness}",
        "referer": f"https://{witness}/",
        "userAgent": random.choice(values.BROWSERS[4:6]).user_agent,
    }

    def text() -> bytes:
        return envelope(key, BEGAN, json.dumps(event, separators=(",", ":")).encode(), **headers)

    event["properties"] = {"note": "." * (SIZE - len(text()))}
    found = text()
    assert len(found) == SIZE, f"{SIZE} bytes are too few"
    found = found.replace(b"%", b"%%")
    places = ((_MESSAGE, b"%(m)b"), (_VISITOR, b"%(v)b"), (_ADDRESS, b"%(a)b"), (_PATH, b"%(p)b"))
    for placeholder, name in places:
        found = found.replace(placeholder.encode(), name)
    return found
