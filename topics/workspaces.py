"""workspaces: what each customer bought and decided, compacted by id. Spread from policy chains in S3."""

from enum import StrEnum
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from topics.codec import Codec, Open, PolicyValue
from topics.ids import CustomerId

NAME = "workspaces"
MAX_RETENTION_DAYS = 36_500  # a century: more is a typing mistake, and for ever has its own word
MAX_SOURCES = 1000
MAX_PATTERNS = 1000  # a list
MAX_CONTACTS = 100
MAX_SWITCHES = 100
MAX_QUOTA = 10**12  # a second
MAX_BURST = 3600  # seconds

Days = Annotated[int, Meta(ge=1, le=MAX_RETENTION_DAYS)]
Pattern = Annotated[str, Meta(min_length=1, max_length=300)]  # its grammar: workers/origins/hosts.py
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=MAX_PATTERNS)]
PerSecond = Annotated[int, Meta(ge=1, le=MAX_QUOTA)]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Contact = Annotated[str, Meta(min_length=1, max_length=254)]  # RFC 5321's longest address


class SourceType(StrEnum):
    """Browser sources are judged by origin; server and mobile ones send none and are exempt."""

    BROWSER = "browser"
    SERVER = "server"
    MOBILE = "mobile"


class WorkspaceState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class OverQuota(StrEnum):
    """What becomes of the records of a write key that has used up its quota."""

    OFF = "off"  # nothing: quotas are not looked at
    FLAG = "flag"
    REJECT = "reject"


class OriginPolicy(StrEnum):
    """What becomes of records from a host that the judge calls a copy."""

    FLAG = "flag"
    QUARANTINE = "quarantine"  # kept apart for 30 days, and nobody's until they are released


class Source(Open, frozen=True, kw_only=True, rename="camel"):
    id: CustomerId
    type: SourceType = SourceType.BROWSER
    allowed_origins: Patterns = ()  # host patterns in addition to the workspace's
    retention_days: Days | None = None  # overrides the workspace's


class Workspace(PolicyValue, frozen=True, kw_only=True, rename="camel"):
    max_bytes: ClassVar[int] = 384 * 1024
    nested: ClassVar[dict[str, type[Open]]] = {"sources": Source}

    id: CustomerId
    state: WorkspaceState = WorkspaceState.OPEN
    plan: Word = "standard"
    sources: Annotated[tuple[Source, ...], Meta(max_length=MAX_SOURCES)] = ()
    # host patterns (docs/origins.md, Hosts); none at all: origins are not judged
    allowed_origins: Patterns = ()
    origins: OriginPolicy = OriginPolicy.FLAG
    retention_days: Days | None = None  # None keeps for ever
    legal_hold: bool = False
    contacts: Annotated[tuple[Contact, ...], Meta(max_length=MAX_CONTACTS)] = ()
    # policy switches by name
    switches: Annotated[dict[Word, bool], Meta(max_length=MAX_SWITCHES)] = msgspec.field(default_factory=dict)
    # what each of its write keys may send a second; None: no limit of that kind
    quota_records: PerSecond | None = None
    quota_bytes: PerSecond | None = None
    quota_burst: Annotated[int, Meta(ge=1, le=MAX_BURST)] = 10  # seconds' worth that may come at once
    over_quota: OverQuota = OverQuota.OFF
    # ms since the epoch: until then nothing is deleted by this record, because it shortens what stood before
    effective_from: int | None = None

    def __post_init__(self) -> None:
        ids = [source.id for source in self.sources]
        if len(set(ids)) < len(ids):
            raise ValueError("two of the sources have the same id")

    def source(self, source: str) -> Source | None:
        """The source of that id."""
        return next((known for known in self.sources if known.id == source), None)


codec = Codec(Workspace)


def record_key(value: Workspace) -> bytes:
    """The Kafka key of a value's record."""
    return value.id.encode()
