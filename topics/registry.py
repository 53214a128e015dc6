"""Every topic, declared once: partitions, clean-up, replication, retention, limits (docs/kafka.md, Topics).

`strongroom topics create` creates what stands here; `topics check` and every worker's start compare the
cluster with it. Nothing is ever auto-created.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from topics import (
    audit,
    origin_observations,
    origin_verdicts,
    policy_applied,
    raw_events,
    rejections,
    retention_tasks,
    workspaces,
    write_keys,
)

DAY_MS = 86_400_000
HEARTBEATS_KEPT_MS = (
    600_000  # of policy-applied: a reader reads every heartbeat that compaction has not dropped
)
FRAMING_BYTES = 1024  # key, headers and batch header around a value of the largest size
POLICY_PARTITIONS = 8  # every worker reads policy topics whole: partitions only spread the brokers' work


class Cleanup(StrEnum):
    DELETE = "delete"
    COMPACT = "compact"


class TimestampType(StrEnum):
    CREATE = "CreateTime"
    LOG_APPEND = "LogAppendTime"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """What a topic must be. `retention_ms` is None where the newest value of each key is kept for ever."""

    name: str
    partitions: int
    cleanup: Cleanup
    replication: int = 3
    retention_ms: int | None = None
    uncompacted_ms: int = DAY_MS  # of a compacted topic: for how long older values and deletions can be read
    timestamp_type: TimestampType = TimestampType.CREATE
    max_message_bytes: int

    @property
    def min_insync_replicas(self) -> int:
        """One replica may be away; with two, or one, none can be without risking acknowledged records."""
        return max(1, self.replication - 1)

    @property
    def configs(self) -> Mapping[str, str]:
        """Kafka's topic configuration, property → value."""
        configs = {
            "cleanup.policy": self.cleanup.value,
            "min.insync.replicas": str(self.min_insync_replicas),
            "max.message.bytes": str(self.max_message_bytes),
            "message.timestamp.type": self.timestamp_type.value,
        }
        if self.cleanup is Cleanup.DELETE:
            configs["retention.ms"] = str(-1 if self.retention_ms is None else self.retention_ms)
        else:
            # a reader that was away for less than half of this sees every deletion (docs/policy.md)
            configs["delete.retention.ms"] = str(self.uncompacted_ms)
            # time to mend an older value that was published after a newer one (workers/ledger/policy_book.py)
            configs["min.compaction.lag.ms"] = str(self.uncompacted_ms)
            # short segments, compacted early: a starting worker reads the topic whole
            configs["segment.ms"] = str(self.uncompacted_ms)
            configs["min.cleanable.dirty.ratio"] = "0.1"
        return configs

    def with_prefix(self, prefix: str) -> "TopicSpec":
        """The same topic under `prefix` + its name."""
        return replace(self, name=prefix + self.name)


TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(
        name=raw_events.NAME,
        partitions=8,
        cleanup=Cleanup.DELETE,
        retention_ms=7 * DAY_MS,
        # a record's day, and with it the day that it expires, must not come from outside: docs/kafka.md
        timestamp_type=TimestampType.LOG_APPEND,
        max_message_bytes=raw_events.Envelope.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=write_keys.NAME,
        partitions=POLICY_PARTITIONS,
        cleanup=Cleanup.COMPACT,
        max_message_bytes=write_keys.WriteKey.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=workspaces.NAME,
        partitions=POLICY_PARTITIONS,
        cleanup=Cleanup.COMPACT,
        max_message_bytes=workspaces.Workspace.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=origin_observations.NAME,
        partitions=8,
        cleanup=Cleanup.DELETE,
        retention_ms=30 * DAY_MS,  # docs/origins.md: observations expire in 30 days
        max_message_bytes=origin_observations.OriginObservation.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=origin_verdicts.NAME,
        partitions=POLICY_PARTITIONS,
        cleanup=Cleanup.COMPACT,
        max_message_bytes=origin_verdicts.OriginVerdict.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=policy_applied.NAME,
        partitions=1,
        cleanup=Cleanup.COMPACT,
        uncompacted_ms=HEARTBEATS_KEPT_MS,
        max_message_bytes=policy_applied.PolicyApplied.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=rejections.NAME,
        partitions=8,
        cleanup=Cleanup.DELETE,
        retention_ms=30 * DAY_MS,
        max_message_bytes=rejections.Rejection.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=retention_tasks.NAME,
        partitions=8,
        cleanup=Cleanup.DELETE,
        retention_ms=7 * DAY_MS,  # a planner that runs every day sends again what is still due
        max_message_bytes=retention_tasks.RetentionTask.max_bytes + FRAMING_BYTES,
    ),
    TopicSpec(
        name=audit.NAME,
        partitions=POLICY_PARTITIONS,
        cleanup=Cleanup.DELETE,
        retention_ms=5 * 365 * DAY_MS,
        max_message_bytes=audit.AuditRecord.max_bytes + FRAMING_BYTES,
    ),
)

# how many partitions these have decides how many workers can share their role's work
SHARED_OUT = frozenset({raw_events.NAME, origin_observations.NAME, rejections.NAME, retention_tasks.NAME})


def topics(
    *,
    prefix: str = "",
    partitions: int | None = None,
    replication: int | None = None,
    raw_retention_ms: int | None = None,
) -> tuple[TopicSpec, ...]:
    """TOPICS as one fleet wants them: names prefixed, and what is given here instead of the defaults.

    `partitions` is for the topics that workers share out, not for those that each reads whole.
    """
    specs = []
    for spec in TOPICS:
        changed = spec
        if partitions is not None and spec.name in SHARED_OUT:
            changed = replace(changed, partitions=partitions)
        if replication is not None:
            changed = replace(changed, replication=replication)
        if raw_retention_ms is not None and spec.name == raw_events.NAME:
            changed = replace(changed, retention_ms=raw_retention_ms)
        specs.append(changed.with_prefix(prefix))
    return tuple(specs)
