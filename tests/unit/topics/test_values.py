"""The other topics: each value comes back, has a Kafka key, and refuses what makes no sense."""

import json
from typing import Any

import msgspec
import pytest

from topics import (
    audit,
    origin_observations,
    origin_verdicts,
    policy_applied,
    rejections,
    retention_tasks,
    workspaces,
    write_keys,
)
from topics.audit import AuditRecord
from topics.codec import Codec
from topics.origin_observations import OriginObservation
from topics.origin_verdicts import OriginVerdict, VerdictKind
from topics.policy_applied import Applied, PolicyApplied
from topics.rejections import Rejection
from topics.retention_tasks import RetentionTask
from workers.errors import Poison
from workers.intake.dispositions import PLATFORM, Clock

CHAIN: dict[str, Any] = {"topic": "raw-events", "topic_id": "q1", "incarnation": 1, "partition": 0}
REJECTION = Rejection(
    **CHAIN,
    start=10,
    end=20,
    workspace="acme",
    source="web",
    write_key="k1",
    reason="revoked_key",
    host="copy.example",
    records=4,
    offsets=(11, 12),
    attempt="a1",
    first_at=1,
    last_at=2,
    counted_at=3,
)
TASK = RetentionTask(
    workspace=PLATFORM, source="dead-letters", day="2026-11-23", clock=Clock.MAIN, reason="30 days"
)
AUDIT = AuditRecord(
    id="write-keys/1/2/0",
    workspace="acme",
    who="ann@host",
    host="host",
    at=1,
    why="leaked",
    action="write-keys.revoked",
    subject="k1",
    after=msgspec.Raw(b'{"state":"revoked"}'),
)
OBSERVATION = OriginObservation(
    **CHAIN,
    start=10,
    end=20,
    first_at=1,
    last_at=2,
    write_key="k1",
    workspace="acme",
    source="web",
    host="copy.example",
    own=False,
    hash_generation=1,
    records=4,
    claims={"shop.example": 4},
    pages=(2**64 - 1, 5),
)
VERDICT = OriginVerdict(
    key="k1",
    workspace="acme",
    host="copy.example",
    kind=VerdictKind.COPY,
    evidence={"content": 0.84},
    changed_at=1,
    shard=2,
    seq=3,
)
APPLIED = PolicyApplied(
    worker="worker-0",
    at=1,
    age_ms=200,
    stale_after_ms=5000,
    applied=(Applied(topic="write-keys", topic_id="q1", version=(4, -1)),),
)
ALL: list[tuple[Codec[Any], Any, bytes]] = [
    (rejections.codec, REJECTION, b"acme"),
    (retention_tasks.codec, TASK, b"_platform"),
    (audit.codec, AUDIT, b"acme"),
    (origin_observations.codec, OBSERVATION, b"k1"),
    (origin_verdicts.codec, VERDICT, b"k1 copy.example"),
    (policy_applied.codec, APPLIED, b"worker-0"),
]
MODULES = (
    rejections,
    retention_tasks,
    audit,
    origin_observations,
    origin_verdicts,
    policy_applied,
    write_keys,
    workspaces,
)


@pytest.mark.parametrize(("codec", "value", "key"), ALL)
def test_a_value_comes_back_and_names_its_record(codec: Codec[Any], value: Any, key: bytes) -> None:
    encoded = codec.encode(value)
    decoded = codec.decode(encoded)
    assert codec.encode(decoded) == encoded
    module = next(module for module in MODULES if module.codec is codec)
    assert module.record_key(value) == key


@pytest.mark.parametrize(("codec", "value", "key"), ALL)
def test_unknown_fields_survive_and_unknown_versions_do_not(
    codec: Codec[Any], value: Any, key: bytes
) -> None:
    fields = json.loads(codec.encode(value))
    newer = json.dumps({**fields, "later": [1]}).encode()
    assert json.loads(codec.encode(codec.decode(newer))) == {**fields, "later": [1]}
    with pytest.raises(Poison, match="of version"):
        codec.decode(json.dumps({**fields, "v": 2}).encode())


@pytest.mark.parametrize(
    ("codec", "value", "changes"),
    [
        (rejections.codec, REJECTION, {"records": 0}),
        (rejections.codec, REJECTION, {"offsets": list(range(11))}),
        (policy_applied.codec, APPLIED, {"worker": ""}),
        (policy_applied.codec, APPLIED, {"ageMs": -1}),
        (retention_tasks.codec, TASK, {"day": "yesterday"}),
        (retention_tasks.codec, TASK, {"clock": "none"}),
        (audit.codec, AUDIT, {"workspace": "../x"}),
        (origin_observations.codec, OBSERVATION, {"pages": list(range(513))}),
        (origin_observations.codec, OBSERVATION, {"anonymousIds": list(range(257))}),
        (origin_verdicts.codec, VERDICT, {"host": "two words"}),
        (origin_verdicts.codec, VERDICT, {"kind": "hostile"}),  # without the customer's word
        (origin_verdicts.codec, VERDICT, {"kind": "benign"}),
        (origin_verdicts.codec, VERDICT, {"confirmed": True}),  # which the customer can't say
    ],
)
def test_nonsense_is_refused(codec: Codec[Any], value: Any, changes: dict[str, Any]) -> None:
    with pytest.raises(Poison):
        codec.decode(json.dumps({**json.loads(codec.encode(value)), **changes}).encode())


def test_a_host_is_hostile_by_the_customers_word() -> None:
    fields = {**json.loads(origin_verdicts.codec.encode(VERDICT)), "kind": "hostile", "confirmed": True}
    assert origin_verdicts.codec.decode(json.dumps(fields).encode()).kind is VerdictKind.HOSTILE
