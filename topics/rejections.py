"""rejections: what was refused, per batch and (write key, reason, host), as counts. Never a payload.

Keyed by workspace. `topic` to `end` name the batch, so that one counted twice, after a crash, is recognised.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from topics.codec import Codec, TopicValue
from topics.ids import Count, Id

NAME = "rejections"
MAX_SAMPLES = 10


class Rejection(TopicValue, frozen=True, kw_only=True, rename="camel"):
    max_bytes: ClassVar[int] = 16 * 1024

    topic: str
    topic_id: str  # Kafka's
    incarnation: int
    partition: int
    start: Count  # the batch held the offsets [start, end)
    end: Count
    workspace: Id
    source: Id
    write_key: Annotated[str, Meta(max_length=300)]
    reason: Annotated[str, Meta(max_length=64)]  # the rule's name
    host: Annotated[str, Meta(max_length=300)] = ""  # the witness host; empty where there was none
    records: Annotated[int, Meta(ge=1)]
    offsets: Annotated[tuple[Count, ...], Meta(max_length=MAX_SAMPLES)] = ()  # a few of them, to look at
    counted_at: int  # ms since the epoch


codec = Codec(Rejection)


def record_key(value: Rejection) -> bytes:
    """The Kafka key of a value's record."""
    return value.workspace.encode()
