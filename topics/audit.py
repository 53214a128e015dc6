"""audit: who changed what, when and why; keyed by workspace.

It spreads what S3 holds (policy chains, certificates). `id` is the same when a record is sent twice.
"""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from topics.codec import Codec, TopicValue
from topics.ids import Id, Reason

NAME = "audit"

Line = Annotated[str, Meta(max_length=300)]


class AuditRecord(TopicValue, frozen=True, kw_only=True, rename="camel"):
    max_bytes: ClassVar[int] = 1_000_000  # two workspaces of the largest size, and the rest

    id: Line
    workspace: Id
    who: Line
    host: Line  # from which machine
    at: int  # ms since the epoch
    why: Reason
    action: Line  # as `write-keys.revoked`
    subject: Line  # a write key, a workspace, a unit, …
    before: msgspec.Raw = msgspec.Raw(b"null")
    after: msgspec.Raw = msgspec.Raw(b"null")


codec = Codec(AuditRecord)


def record_key(value: AuditRecord) -> bytes:
    """The Kafka key of a value's record."""
    return value.workspace.encode()
