"""write-keys: the state of each write key, compacted by the key itself.

The truth is the policy chain in S3; this topic spreads it. `shard` and `seq` name the chain entry that a
record comes from: a reader keeps the highest `seq` a key, whatever order Kafka delivers in.
"""

from enum import StrEnum

from topics.codec import Codec, TopicValue


class KeyState(StrEnum):
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"
    ABUSED = "abused"


class WriteKey(TopicValue, frozen=True, kw_only=True, rename="camel"):
    key: str
    workspace: str
    source: str
    state: KeyState
    until: int | None = None  # ms since the epoch, broker's append time: when a retiring key ends
    changed_at: int  # ms since the epoch
    reason: str = ""
    shard: int
    seq: int


codec = Codec(WriteKey)
