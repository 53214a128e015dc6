"""Observations for tests, with only what a test cares about."""

from itertools import count
from typing import Any

from msgspec.structs import replace

from topics import origin_observations
from topics.origin_observations import OriginObservation
from workers.origins.seen import Observed

_places = count(step=1_000_000)

ONE = OriginObservation(
    topic="raw-events",
    topic_id="q",
    incarnation=1,
    partition=0,
    start=0,
    end=1_000_000,
    first_at=1,
    last_at=2,
    write_key="k1",
    workspace="acme",
    source="web",
    host="www.shop.example",
    own=False,
    hash_generation=1,
    records=1,
)


def observation(host: str, records: int = 1, *, key: str = "k1", **fields: Any) -> OriginObservation:
    """Of a span of its own, unless `start` says which."""
    start = fields.pop("start", None)
    start = next(_places) if start is None else start
    changed = {"start": start, "end": start + 1_000_000, "host": host, "records": records, "write_key": key}
    return replace(ONE, **changed | fields)


def observed(*each: OriginObservation, **fields: Any) -> Observed:
    seen = Observed("acme", **fields)
    seen.add(origin_observations.codec.encode(one) for one in each)
    return seen
