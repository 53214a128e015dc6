"""rejections: what was refused, per batch and (write key, reason, host), as counts. Never a payload or an IP.

Keyed by workspace. Written after the batch's ledger entry, which `topic` to `attempt` name, at times twice: a
reader drops what has the same `identity`. Not written at all where a worker died in between: it is for people
to look at, and the ledger has the counts.
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
    attempt: Annotated[str, Meta(max_length=64)]  # as the entry says
    workspace: Id
    source: Id
    write_key: Annotated[str, Meta(max_length=300)]  # `*`: of more keys than are told apart
    reason: Annotated[str, Meta(max_length=64)]  # the rule's name
    host: Annotated[str, Meta(max_length=300)] = ""  # the witness; empty: none; `*`: others
    records: Annotated[int, Meta(ge=1)]
    offsets: Annotated[tuple[Count, ...], Meta(max_length=MAX_SAMPLES)] = ()  # a few of them, to look at
    first_at: int  # ms since the epoch, the broker's time; as last_at
    last_at: int
    counted_at: int  # ms since the epoch

    @property
    def identity(self) -> tuple[str | int, ...]:
        batch = (self.topic_id, self.incarnation, self.partition, self.start, self.attempt)
        return (*batch, self.workspace, self.source, self.write_key, self.reason, self.host)


codec = Codec(Rejection)


def record_key(value: Rejection) -> bytes:
    """The Kafka key of a value's record."""
    return value.workspace.encode()
