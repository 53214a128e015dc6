"""Commands against a real Kafka and a real S3: what they publish is what a client of Kafka's own reads."""

import json
import time
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType  # type: ignore[attr-defined]  # stubs

from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from topics.registry import topics
from workers import __main__, opening
from workers.cli import running
from workers.roles.mending import Mending, open_to_mend
from workers.settings import Settings
from workers.stream.admin import create_topics
from workers.stream.connection import KafkaConnection


@pytest.fixture
def prefix(kafka: Kafka, s3: S3, topic_name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fleet of its own, its topics made as the registry says; the environment points at it."""
    prefix = topic_name[-9:] + "."
    monkeypatch.setenv("STRONGROOM_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("STRONGROOM_TOPIC_PREFIX", prefix)
    monkeypatch.setenv("STRONGROOM_S3_ENDPOINT", s3.endpoint)
    monkeypatch.setenv("STRONGROOM_S3_BUCKET", s3.bucket())
    monkeypatch.setenv("STRONGROOM_ACTOR", "ann")
    specs = topics(prefix=prefix, partitions=2, replication=1)
    running.run(create_topics(KafkaConnection(bootstrap=kafka.bootstrap), specs))
    return prefix


def records(kafka: Kafka, topic: str) -> list[tuple[str, Any]]:
    """All records of a topic, oldest first by time, as (key, value)."""
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": "test",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # an empty partition's end is told after it
        }
    )
    found = []
    try:
        # all partitions at once: each new assignment costs what is left of a fetch's wait
        unread = set(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, partition, 0) for partition in unread])
        while unread:
            message = consumer.poll(30)
            assert message is not None, f"{topic}: neither a record nor the end of partitions {unread}"
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                unread.discard(message.partition())
                continue
            found.append((message.timestamp()[1], message.key(), message.value()))
    finally:
        consumer.close()
    return [
        ((key or b"").decode(), json.loads(value or b"null"))
        for _, key, value in sorted(found, key=lambda each: each[0])
    ]


def strongroom(*arguments: str) -> None:
    assert __main__.run(arguments) == 0


def test_brokers_take_every_property_of_the_registry(kafka: Kafka, prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    for spec in topics(prefix=prefix, partitions=2, replication=1):
        resource = ConfigResource(ResourceType.TOPIC, spec.name)
        configs = admin.describe_configs([resource])[resource].result(30)
        assert {name: configs[name].value for name in spec.configs} == dict(spec.configs)


def test_what_commands_change_is_on_the_topics(kafka: Kafka, prefix: str) -> None:
    strongroom("workspaces", "set", "acme", "--source", "web:browser", "--allow-origin", "shop.example")
    strongroom("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    strongroom("keys", "rotate", "k1", "--new", "k2")
    strongroom("keys", "revoke", "k1", "--reason", "leaked")
    keys = records(kafka, prefix + "write-keys")
    assert [(key, value["state"]) for key, value in keys if key == "k1"] == [
        ("k1", "active"),
        ("k1", "retiring"),
        ("k1", "revoked"),
    ]
    assert [(key, value["state"]) for key, value in keys if key == "k2"] == [("k2", "active")]
    (acme,) = records(kafka, prefix + "workspaces")
    assert (acme[0], acme[1]["allowedOrigins"]) == ("acme", ["shop.example"])
    audit = records(kafka, prefix + "audit")
    assert [(key, value["action"], value["subject"]) for key, value in audit] == [
        ("acme", "workspaces.set", "acme"),
        ("acme", "write-keys.active", "k1"),
        ("acme", "write-keys.active", "k2"),
        ("acme", "write-keys.retiring", "k1"),
        ("acme", "write-keys.revoked", "k1"),
    ]


def test_a_revocation_that_kafka_missed_is_published_by_repeating_it(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strongroom("workspaces", "set", "acme", "--source", "web:browser")
    strongroom("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    with monkeypatch.context() as elsewhere:  # a fleet whose topics nobody created
        elsewhere.setenv("STRONGROOM_TOPIC_PREFIX", "nowhere.")
        assert __main__.run(["keys", "revoke", "k1", "--reason", "leaked"]) == 1
    said = capsys.readouterr().err
    assert "nowhere.write-keys does not exist" in said
    assert "stands in the policy chain" in said
    assert [value["state"] for _, value in records(kafka, prefix + "write-keys")] == ["active"]
    strongroom("keys", "revoke", "k1", "--reason", "leaked")
    assert [value["state"] for _, value in records(kafka, prefix + "write-keys")] == ["active", "revoked"]


def test_a_revocation_that_kafka_missed_is_published_by_the_steward(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strongroom("workspaces", "set", "acme", "--source", "web:browser")
    strongroom("keys", "add", "k1", "--workspace", "acme", "--source", "web")
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("STRONGROOM_TOPIC_PREFIX", "nowhere.")
        assert __main__.run(["keys", "revoke", "k1", "--reason", "leaked"]) == 1

    async def looks() -> None:
        settings, retry = Settings.load(), running.patient()
        async with opening.open_ledger(settings) as ledger:
            mending = Mending(
                ledger,
                retry,
                lambda: open_to_mend(settings, ledger, retry),
                lambda: opening.policy_topic_ids(settings),
                lambda: None,
            )
            for _ in range(2):
                await mending.look()

    running.run(looks())
    assert [value["state"] for _, value in records(kafka, prefix + "write-keys")] == ["active", "revoked"]
    assert records(kafka, prefix + "audit")[-1][1]["action"] == "write-keys.revoked"


def test_a_broker_out_of_reach_is_exit_code_3_and_reading_goes_on(
    prefix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    strongroom("workspaces", "set", "acme", "--source", "web:browser")
    monkeypatch.setenv("STRONGROOM_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    began = time.monotonic()
    assert __main__.run(["keys", "add", "k1", "--workspace", "acme", "--source", "web"]) == 3
    assert time.monotonic() - began < 60
    strongroom("workspaces", "show", "acme")
    assert "Traceback" not in capsys.readouterr().err


def test_a_new_kafka_gets_all_policy_from_the_bucket(
    kafka: Kafka, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strongroom("workspaces", "set", "acme", "--source", "web:browser")
    for key in ("k1", "k2", "k3"):
        strongroom("keys", "add", key, "--workspace", "acme", "--source", "web")
    strongroom("keys", "revoke", "k2", "--reason", "leaked")
    new = f"new-{prefix}"
    monkeypatch.setenv("STRONGROOM_TOPIC_PREFIX", new)
    specs = topics(prefix=new, partitions=2, replication=1)
    running.run(create_topics(KafkaConnection(bootstrap=kafka.bootstrap), specs))
    strongroom("policy", "publish")
    assert {key: value["state"] for key, value in records(kafka, new + "write-keys")} == {
        "k1": "active",
        "k2": "revoked",
        "k3": "active",
    }
    assert dict(records(kafka, new + "workspaces")) == dict(records(kafka, prefix + "workspaces"))
