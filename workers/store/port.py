"""The S3 port: what Strongroom asks of a bucket, and how a bucket's answers are named.

Every backend passes `tests/contract/`. Bodies are whole (objects are at most a flush), keys are
UTF-8 without a leading slash, metadata names are lower case without the `x-amz-meta-` prefix.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

from workers.errors import Retryable, StrongroomError

# requests to S3: the first word of what errors call one
OPERATIONS = ("put", "get", "stat", "list", "versions", "uploads", "delete")
NO_METADATA: Mapping[str, str] = MappingProxyType({})


class NotFound(StrongroomError):
    """404: no such object."""


class PreconditionFailed(StrongroomError):
    """412. It may answer our own write whose response was lost: read before believing it (docs/s3.md)."""


class Conflict(Retryable):
    """409: another conditional write of this name was under way. Send the same PUT again."""


class Denied(Retryable):
    """401 or 403: credentials are missing, expired or too weak. A declared hold."""


class Unavailable(Retryable):
    """5xx, SlowDown, time-out, lost connection. A write may or may not have happened."""


@dataclass(frozen=True, slots=True)
class IfAbsent:
    """`If-None-Match: *`: write only if the name is free."""


@dataclass(frozen=True, slots=True)
class IfMatch:
    """`If-Match`: write only over the object that has this ETag."""

    etag: str


Condition = IfAbsent | IfMatch
IF_ABSENT = IfAbsent()


@dataclass(frozen=True, slots=True)
class Stat:
    key: str
    size: int  # bytes
    etag: str  # as the server wrote it, quotes included
    modified: int  # ms since the epoch


@dataclass(frozen=True, slots=True)
class Got:
    body: bytes
    etag: str
    size: int  # bytes of the whole object, also when a range was asked for
    metadata: Mapping[str, str] = field(default_factory=lambda: NO_METADATA)


@dataclass(frozen=True, slots=True)
class Version:
    """One version, or delete marker, of a key. On a bucket without versions: the object, id `null`."""

    key: str
    version_id: str
    is_latest: bool
    delete_marker: bool
    size: int


class Store(Protocol):
    """One bucket. Raises the errors above, and nothing of the library behind it."""

    @property
    def name(self) -> str:
        """For messages: `s3://bucket`."""

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        """Writes and returns the ETag. Raises PreconditionFailed, Conflict, Denied, Unavailable.

        `digest`: the body's SHA-256 in hex, from who has it: else it is made here.

        One attempt: who retries must know what a lost response means (docs/architecture.md, Flush).
        """

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        """The object, or `length` bytes of it from `start`. Raises NotFound, Denied, Unavailable."""

    async def stat(self, key: str) -> Stat:
        """Raises NotFound, Denied, Unavailable."""

    def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        """Keys that start with `prefix` and sort after `after`, in byte order, `limit` at most."""

    def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        """All versions and delete markers of keys as in `list`; those of one key are together."""

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Deletes up to 1,000 keys a request; returns key → error of those that the server kept."""

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        """Deletes these versions and markers for good, 1,000 a request; key → error of those that were kept.

        Of versions that are gone already some servers say so and others do not: list again, rather than
        believe it.
        """

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        """Ends multipart uploads of `keys`, which all begin with `prefix`, and returns how many there were.

        Their parts take room, are in no listing, and may yet become an object.
        """

    async def expiring(self) -> Sequence[str]:
        """Prefixes whose objects the bucket deletes by itself after a time; "" is all of it.

        Empty where there is no such rule, and where the server knows no lifecycle rules.
        """

    async def close(self) -> None:
        """Closes connections; the store can't be used afterwards."""
