"""The registry declares the topics of docs/kafka.md, with the properties that the program relies on."""

import pytest

from topics.registry import DAY_MS, TOPICS, Cleanup, TimestampType, TopicSpec, topics

BY_NAME = {spec.name: spec for spec in TOPICS}
POLICY = {"write-keys", "workspaces", "origin-verdicts"}
COMPACTED = {*POLICY, "policy-applied"}
DELETED = {"raw-events", "origin-observations", "rejections", "retention-tasks", "audit"}
CLIENTS_LARGEST = 1_048_576  # aiokafka's max_request_size, and a broker's message.max.bytes less its framing


def test_every_topic_is_declared_with_its_cleanup() -> None:
    assert {spec.name for spec in TOPICS if spec.cleanup is Cleanup.COMPACT} == COMPACTED
    assert {spec.name for spec in TOPICS if spec.cleanup is Cleanup.DELETE} == DELETED


def test_only_raw_events_takes_the_brokers_time() -> None:
    assert [s.name for s in TOPICS if s.timestamp_type is TimestampType.LOG_APPEND] == ["raw-events"]
    assert BY_NAME["raw-events"].configs["message.timestamp.type"] == "LogAppendTime"


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_what_compaction_keeps_never_expires_and_what_expires_says_when(spec: TopicSpec) -> None:
    if spec.name in COMPACTED:
        assert spec.retention_ms is None
        assert "retention.ms" not in spec.configs
        # time to mend an older value that came last; heartbeats have none to mend, and there are many of them
        lag = int(spec.configs["min.compaction.lag.ms"])
        assert lag >= DAY_MS if spec.name in POLICY else 0 < lag <= DAY_MS / 24
    else:
        assert spec.retention_ms is not None
        assert spec.configs["retention.ms"] == str(spec.retention_ms)
        assert "delete.retention.ms" not in spec.configs


@pytest.mark.parametrize("spec", TOPICS, ids=lambda spec: spec.name)
def test_the_largest_record_is_one_that_clients_send_by_default(spec: TopicSpec) -> None:
    assert spec.max_message_bytes <= CLIENTS_LARGEST


@pytest.mark.parametrize(("replication", "insync"), [(1, 1), (2, 1), (3, 2), (5, 4)])
def test_one_replica_may_be_away(replication: int, insync: int) -> None:
    for spec in topics(replication=replication):
        assert (spec.replication, spec.configs["min.insync.replicas"]) == (replication, str(insync))


def test_settings_choose_prefix_and_partitions_of_what_workers_share_out() -> None:
    specs = {spec.name: spec for spec in topics(prefix="eu.", partitions=64, raw_retention_ms=DAY_MS)}
    assert set(specs) == {f"eu.{name}" for name in BY_NAME}
    assert specs["eu.raw-events"].partitions == 64
    assert specs["eu.raw-events"].retention_ms == DAY_MS
    assert specs["eu.audit"].retention_ms == BY_NAME["audit"].retention_ms
    for name in COMPACTED:  # each worker reads these whole
        assert specs[f"eu.{name}"].partitions == BY_NAME[name].partitions


def test_without_settings_the_registry_stands_as_it_is() -> None:
    assert topics() == TOPICS


def test_a_spec_is_a_value() -> None:
    assert BY_NAME["audit"].with_prefix("x-") == BY_NAME["audit"].with_prefix("x-")
    with pytest.raises(AttributeError):
        BY_NAME["audit"].partitions = 1  # type: ignore[misc]  # that it can't be set is the point
