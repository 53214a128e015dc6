"""Policy records, envelopes and Kafka records for the tests of intake, with only what a test cares about."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.runs import runs_of
from topics import origin_verdicts, workspaces, write_keys
from topics.origin_verdicts import CUSTOMERS, OriginVerdict, VerdictKind
from topics.workspaces import OriginPolicy, OverQuota, Source, Workspace, WorkspaceState
from topics.write_keys import KeyState, WriteKey
from workers.intake.dispositions import Disposition
from workers.intake.policy import Policy
from workers.intake.sort import Sorter, Sorting, SortLimits

DAY = 86_400_000
NOW = 1_795_687_200_000  # 2026-11-26T10:00:00Z
TODAY = "2026-11-26"


@dataclass(frozen=True)
class Record:
    value: bytes | None
    offset: int = 0
    timestamp: int = NOW
    timestamp_type: int = 1  # LogAppendTime


class Quota(NamedTuple):
    """A workspace's fields of that name."""

    over_quota: OverQuota
    quota_records: int | None = None
    quota_bytes: int | None = None
    quota_burst: int = 1


def key_record(
    key: str = "known",
    state: KeyState = KeyState.ACTIVE,
    *,
    until: int | None = None,
    workspace: str = "acme",
    source: str = "site",
    seq: int = 1,
) -> bytes:
    return write_keys.codec.encode(
        WriteKey(
            key=key,
            workspace=workspace,
            source=source,
            state=state,
            until=until,
            changed_at=NOW,
            shard=0,
            seq=seq,
        )
    )


def workspace_record(
    workspace: str = "acme",
    *,
    state: WorkspaceState = WorkspaceState.OPEN,
    sources: Iterable[Source] = (),
    allowed: Sequence[str] = (),
    days: int | None = None,
    hold: bool = False,
    effective_from: int | None = None,
    seq: int = 1,
    quota: Quota | None = None,
    origins: OriginPolicy = OriginPolicy.FLAG,
) -> bytes:
    return workspaces.codec.encode(
        Workspace(
            id=workspace,
            state=state,
            sources=tuple(sources),
            allowed_origins=tuple(allowed),
            origins=origins,
            retention_days=days,
            legal_hold=hold,
            effective_from=effective_from,
            changed_at=NOW,
            shard=0,
            seq=seq,
            **(quota._asdict() if quota else {}),
        )
    )


def verdict_record(
    kind: VerdictKind = VerdictKind.COPY, host: str = "copy.example", *, key: str = "known", seq: int = 1
) -> bytes:
    return origin_verdicts.codec.encode(
        OriginVerdict(
            key=key,
            workspace="acme",
            host=host,
            kind=kind,
            confirmed=kind in CUSTOMERS,
            changed_at=NOW,
            shard=0,
            seq=seq,
        )
    )


def policy_of(
    keys: Iterable[bytes] = (), accounts: Iterable[bytes] = (), verdicts: Iterable[bytes] = ()
) -> Policy:
    policy = Policy()
    for account in accounts:
        policy.apply_workspace(account)
    for key in keys:
        policy.apply_write_key(key)
    for verdict in verdicts:
        policy.apply_verdict(verdict)
    return policy


def envelope(key: str = "known", *, page: Any = None, **fields: Any) -> bytes:
    event: dict[str, Any] = {"type": "page"}
    if page is not None:
        event["context"] = {"page": page}
    return json.dumps(
        {"v": 1, "writeKey": key, "receivedAt": "2026-11-26T10:00:00.000Z", "event": event} | fields
    ).encode()


def sort_all(
    policy: Policy, records: Sequence[Record], *, now: int = NOW, limits: SortLimits | None = None
) -> Sorting:
    sorting = Sorting()
    Sorter(policy, limits).sort(runs_of(records), now=now, into=sorting)
    return sorting


def flat(counts: dict[Disposition, dict[str, int]]) -> dict[str, int]:
    """Reason → records."""
    return {reason: number for reasons in counts.values() for reason, number in reasons.items()}


def reason_of(policy: Policy, value: bytes | None, *, now: int = NOW, **record: int) -> str:
    """The reason given for one record."""
    (reason,) = flat(sort_all(policy, [Record(value, **record)], now=now).counts)
    return reason
