"""workspaces: what each customer bought and decided, compacted by workspace id. Spread from S3 like write-keys."""

from enum import StrEnum

import msgspec

from topics.codec import Codec, TopicValue


class SourceType(StrEnum):
    """Browser sources are judged by origin; server and mobile ones send none and are exempt."""

    BROWSER = "browser"
    SERVER = "server"
    MOBILE = "mobile"


class WorkspaceState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Source(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    type: SourceType = SourceType.BROWSER
    allowed_origins: tuple[str, ...] = ()  # host patterns in addition to the workspace's
    retention_days: int | None = None  # overrides the workspace's


class Workspace(TopicValue, frozen=True, kw_only=True, rename="camel"):
    id: str
    state: WorkspaceState = WorkspaceState.OPEN
    plan: str = "standard"
    sources: tuple[Source, ...] = ()
    allowed_origins: tuple[
        str, ...
    ] = ()  # host patterns (origins.md, Hosts); none at all: origins are not judged
    retention_days: int | None = None  # None keeps for ever
    legal_hold: bool = False
    contacts: tuple[str, ...] = ()
    switches: dict[str, bool] = {}  # policy switches by name
    effective_from: int | None = None  # ms since the epoch, for a shortened retention
    changed_at: int
    shard: int
    seq: int


codec = Codec(Workspace)
