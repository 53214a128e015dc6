"""Browsers' traffic for a benchmark of origins: own pages, copies under a verdict, and other foreign hosts.

Calls as Segment's browser SDK sends them (workers/sample), 1,300 to 1,900 bytes each.
"""

import json
from collections.abc import Iterator
from itertools import islice
from random import Random

from workers.sample import values
from workers.sample.customers import SHOP
from workers.sample.load import BEGAN, load_keys
from workers.sample.sessions import Stage, visit

TEMPLATES = 12  # calls of a key and host that all others of theirs are made of
VISITORS = 4096
SCRAPED = 20  # one key in so many has a copy, and another foreign host
FOREIGN = 5  # one of such a key's records in so many; half of them are the copy's


def own(number: int) -> str:
    """The host of a key's site."""
    return f"www.shop-{number}.example"


def copy(number: int) -> str:
    """A host that has a verdict for this key."""
    return f"copy-{number}.mirror.example"


def stranger(number: int) -> str:
    """A foreign host that has none."""
    return f"blog-{number}.elsewhere.example"


def scraped(number: int) -> bool:
    return number % SCRAPED == 0


def records(seed: int, count: int, keys: int) -> Iterator[tuple[bytes, bytes]]:
    """`count` (Kafka key, value) pairs over `load_keys(keys)`, no two of which are the same.

    A messageId ends in the record's number as 12 hex digits. The same arguments give the same bytes.
    """
    random = Random(seed)
    names = [key.encode() for key in load_keys(keys)]
    sites = [_site(random, number, key) for number, key in enumerate(load_keys(keys))]
    visitors = [values.uuid(random).encode() for _ in range(VISITORS)]
    bits = random.getrandbits
    for at in range(count):
        draw = bits(128)
        key = draw % keys
        which = 0
        if scraped(key) and (draw >> 8) % FOREIGN == 0:
            which = 1 + (draw >> 16 & 1)
        message = b"%08x-%04x-4%03x-8%03x-%012x" % (
            draw >> 96,
            draw >> 80 & 65535,
            draw >> 68 & 4095,
            draw >> 56 & 4095,
            at,
        )
        template = sites[key][which][(draw >> 20) % TEMPLATES]
        yield names[key], template % {b"m": message, b"v": visitors[draw >> 32 & VISITORS - 1]}


def _site(random: Random, number: int, key: str) -> list[list[bytes]]:
    """Templates of the key's own host, its copy and the stranger. A copy keeps the canonical links."""
    site, mine = SHOP.sources[0]._replace(hosts=(own(number),)), f"https://{own(number)}"
    foreign = (Stage(f"https://{copy(number)}", mine), Stage(f"https://{stranger(number)}", None))

    def calls(stage: Stage | None) -> Iterator[bytes]:
        while True:
            for sent in visit(random, site, key, BEGAN, stage):
                yield _template(sent.value)

    stages = (None, *foreign) if scraped(number) else (None,)
    return [list(islice(calls(stage), TEMPLATES)) for stage in stages]


def _template(value: bytes) -> bytes:
    """A bytes format with the names m, a message's own part of its id, and v, a visitor."""
    event = json.loads(value)["event"]
    message = event["messageId"][-len("00000000-0000-4000-8000-000000000000") :].encode()
    text = value.replace(b"%", b"%%").replace(message, b"%(m)b")
    return text.replace(event["anonymousId"].encode(), b"%(v)b")
