"""What all contenders archive: seeded records of many customers, some of whose keys are on a drop list."""

from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

from workers.sample.load import load_keys, records

KEYS, WORKSPACES = 200, 50
DROPPED = 10  # keys: of the middle ranks, so that a few records in a hundred go
SMALL = b'{"v":1,"writeKey":"%s","receivedAt":"","event":{"messageId":"%012x"}}'
MESSAGE_ID = rb'"messageId": ?"[^"]*([0-9a-f]{12})"'  # ends in the record's number


class Profile(NamedTuple):
    name: str
    size: int  # bytes a record
    batch: int  # plain bytes of a flush


PROFILES = {
    "segment": Profile("segment", 760, 64 * 1024 * 1024),
    "small": Profile("small", 78, 16 * 1024 * 1024),
}


def keys_of(profile: Profile) -> list[str]:
    return load_keys(KEYS) if profile.name == "segment" else [f"k{number:03}" for number in range(KEYS)]


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
    for (drawn, value), key in zip(records(1, count, KEYS, profile.size), draws, strict=True):
        yield key, value.replace(drawn, key, 1)
