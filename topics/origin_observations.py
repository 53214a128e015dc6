"""origin-observations: what the archive saw of each (write key, witness host), a span of offsets each.

Keyed by write key. A span is named by its chain and [start, end), so that the judge folds each offset once
(docs/origins.md, Observations). Hashes are keyed with the workspace's own key: 64 bits, unsigned.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from topics.codec import Codec, TopicValue
from topics.ids import Count, Id

NAME = "origin-observations"
SKETCH = 256  # bottom-k: the k smallest hashes seen
MAX_PAGES = 512  # distinct pages a span; past it the set says that it is cut
MAX_SHARES = 64

Host = Annotated[str, Meta(max_length=300)]
Hash = Annotated[int, Meta(ge=0)]
Sketch = Annotated[tuple[Hash, ...], Meta(max_length=SKETCH)]
Counts = Annotated[dict[Host, Count], Meta(max_length=MAX_SHARES)]


class OriginObservation(TopicValue, frozen=True, kw_only=True, rename="camel"):
    topic: str
    topic_id: str  # Kafka's
    incarnation: int
    partition: int
    start: Count  # of the offsets [start, end)
    end: Count
    first_at: int  # ms since the epoch, broker's append time
    last_at: int
    write_key: str
    workspace: Id
    source: Id
    host: Host  # the witness
    own: bool  # a host that the workspace allows: sampled
    hash_generation: int  # which of the workspace's hash keys
    records: Annotated[int, Meta(ge=1)]
    claims: Counts = msgspec.field(default_factory=dict)  # host that the page claims → records
    pages: Annotated[tuple[Hash, ...], Meta(max_length=MAX_PAGES)] = ()  # of (path, title)
    pages_cut: bool = False
    anonymous_ids: Sketch = ()
    user_ids: Sketch = ()
    networks: Counts = msgspec.field(default_factory=dict)  # /24 or /48, hashed → records
    user_agents: Counts = msgspec.field(default_factory=dict)  # hashed → records
    self_referrals: Count = 0
    canonical_shadows: Count = 0
    max_bytes: ClassVar[int] = 256 * 1024


codec = Codec(OriginObservation)


def record_key(value: OriginObservation) -> bytes:
    """The Kafka key of a value's record."""
    return value.write_key.encode(errors="replace")
