"""policy-applied: what policy each worker has applied; compacted by worker, a tombstone where one stopped.

Advisory: nothing decides about a record by it. It tells people whether a revocation has reached every worker.
"""

from typing import Annotated, ClassVar

from msgspec import Meta

from topics.codec import Codec, Open, TopicValue

NAME = "policy-applied"

Line = Annotated[str, Meta(min_length=1, max_length=300)]


class Applied(Open, frozen=True, kw_only=True, rename="camel"):
    """How far one policy topic is applied."""

    topic: Line  # the registry's name, without a fleet's prefix
    topic_id: str  # Kafka's: offsets of another log under this name say nothing
    version: tuple[int, ...]  # highest offset applied, by partition; -1 where nothing was


class PolicyApplied(TopicValue, frozen=True, kw_only=True, rename="camel"):
    nested: ClassVar = {"applied": Applied}

    worker: Line
    at: int  # ms since the epoch, of the worker's clock
    age_ms: Annotated[int, Meta(ge=0)]  # of the older copy, at that time
    stale_after_ms: Annotated[int, Meta(ge=0)]  # the age from which on this worker decides nothing
    applied: tuple[Applied, ...]


codec = Codec(PolicyApplied)


def record_key(value: PolicyApplied) -> bytes:
    """The Kafka key of a value's record."""
    return value.worker.encode()
