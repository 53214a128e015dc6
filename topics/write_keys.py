"""write-keys: the state of each write key, compacted by the key itself. Spread from policy chains in S3."""

import re
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from topics.codec import Codec, PolicyValue
from topics.ids import CustomerId, Id, Reason
from workers.errors import Poison

NAME = "write-keys"
KEY = re.compile(r"\A[!-~]{1,128}\Z", re.ASCII)  # visible: what an SDK can carry and a terminal can show

Key = Annotated[str, Meta(pattern=KEY.pattern)]


class KeyState(StrEnum):
    ACTIVE = "active"
    RETIRING = "retiring"
    REVOKED = "revoked"
    ABUSED = "abused"


class WriteKey(PolicyValue, frozen=True, kw_only=True, rename="camel"):
    key: Key
    workspace: CustomerId
    source: Id
    state: KeyState
    until: int | None = None  # ms since the epoch, broker's append time: when a retiring key ends
    reason: Reason = ""

    def __post_init__(self) -> None:
        if self.state is KeyState.RETIRING and self.until is None:
            raise ValueError("a retiring key has no `until`: it would never end")


codec = Codec(WriteKey)


def record_key(value: WriteKey) -> bytes:
    """The Kafka key of a value's record."""
    return value.key.encode()


def checked_key(key: str) -> str:
    """`key` if it can be registered, else Poison."""
    if not KEY.match(key):
        raise Poison(
            f"write key {key[:130]!r} can't be registered",
            remedy="Use 1 to 128 visible ASCII characters without spaces",
        )
    return key
