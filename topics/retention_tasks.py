"""retention-tasks: one disposal unit a message, keyed by workspace (docs/kafka.md, Topics).

Two planners that see the same policy produce the same task: nothing here says who planned it or when.
"""

from typing import ClassVar

from topics.codec import Codec, TopicValue
from topics.ids import Day, Id, Reason
from workers.intake.dispositions import Clock

NAME = "retention-tasks"


class RetentionTask(TopicValue, frozen=True, kw_only=True, rename="camel"):
    max_bytes: ClassVar[int] = 4 * 1024

    workspace: Id
    source: Id
    day: Day
    clock: Clock
    reason: Reason  # the rule by which the unit is due
    # the entry of the policy chain that says so; None: a clock of the platform's
    policy_shard: int | None = None
    policy_seq: int | None = None


codec = Codec(RetentionTask)


def record_key(value: RetentionTask) -> bytes:
    """The Kafka key of a value's record."""
    return value.workspace.encode()
