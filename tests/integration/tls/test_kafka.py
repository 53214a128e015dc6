"""Kafka over TLS, with a password and with a certificate: each client of a worker, on a real broker."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]  # aiokafka ships no types

from tests.integration.stream.conftest import Log
from tests.integration.stream.recorder import Recorder, running, until
from tests.stack.authority import Authority
from tests.stack.secured import FAR, PASSWORD, USER, SecuredKafka
from topics import registry
from workers.errors import Fatal, Retryable
from workers.opening import kafka
from workers.settings import Settings
from workers.stream import refusals
from workers.stream.admin import check_topics, create_topics
from workers.stream.compacted import CompactedReader
from workers.stream.connection import KafkaConnection, open_client
from workers.stream.publish import Publisher

Change = dict[str, object]


def with_tls(secured: SecuredKafka, **changed: object) -> KafkaConnection:
    """As an operator would have it, but for what is `changed`."""
    settings: Change = {
        "kafka_bootstrap": secured.tls,
        "kafka_tls": True,
        "kafka_ca_file": secured.authority.trust,
    }
    return kafka(Settings(**{**settings, **changed}))  # type: ignore[arg-type]  # fields of several types


def with_password(
    secured: SecuredKafka, mechanism: str = "SCRAM-SHA-512", **changed: object
) -> KafkaConnection:
    login: Change = {
        "kafka_bootstrap": secured.login,
        "kafka_sasl_mechanism": mechanism,
        "kafka_sasl_username": USER,
        "kafka_sasl_password": PASSWORD,
    }
    return with_tls(secured, **{**login, **changed})


def with_certificate(
    secured: SecuredKafka, authority: Authority, *, expired: bool = False
) -> KafkaConnection:
    """One that `authority` gave."""
    cert_file, key_file = authority.issue("worker", expired=expired)
    return with_tls(
        secured, kafka_bootstrap=secured.mutual, kafka_cert_file=cert_file, kafka_key_file=key_file
    )


WAYS: dict[str, Callable[[SecuredKafka], KafkaConnection]] = {
    "SSL": with_tls,
    "SCRAM-SHA-256": lambda secured: with_password(secured, "SCRAM-SHA-256"),
    "SCRAM-SHA-512": with_password,
    "PLAIN": lambda secured: with_password(secured, "PLAIN"),
    "certificate": lambda secured: with_certificate(secured, secured.authority),
}


@pytest.mark.parametrize("way", WAYS)
async def test_topics_are_made_and_written(secured_kafka: SecuredKafka, topic_name: str, way: str) -> None:
    connection = WAYS[way](secured_kafka)
    spec = replace(registry.TOPICS[0], name=topic_name, partitions=1, replication=1)
    assert await create_topics(connection, [spec]) == [topic_name]
    assert await check_topics(connection, [spec]) == []
    publisher = Publisher(connection)
    await publisher.start()
    assert (await publisher.send_and_wait(topic_name, b"key", b"value")).offset == 0
    await publisher.stop()


@pytest.mark.parametrize("way", ["SSL", "SCRAM-SHA-512", "certificate"])
async def test_topics_are_read(secured_kafka: SecuredKafka, topic_name: str, way: str) -> None:
    connection = WAYS[way](secured_kafka)
    secured_kafka.kafka.create_topic(topic_name)
    Log(secured_kafka.kafka, topic_name).produce([b"value"])
    owner = Recorder()
    async with running(connection, topic_name, owner):
        await until(lambda: owner.ledger.values == [b"value"], "the record, by the archive's consumer")
    read: list[bytes | None] = []
    copy = CompactedReader(connection, topic_name, lambda key, value: read.append(value))
    await copy.start()
    await copy.stop()
    assert read == [b"value"]


Wrong = Callable[
    [SecuredKafka, Authority], KafkaConnection
]  # the broker, and an authority that it does not know
# what is wrong → how, what is said of it, and which setting mends it
REFUSED: dict[str, tuple[Wrong, str, str]] = {
    "password": (
        lambda secured, other: with_password(secured, kafka_sasl_password="wrong-horse"),
        "refused user archive with SCRAM-SHA-512",
        "STRONGROOM_KAFKA_SASL_USERNAME and _PASSWORD",
    ),
    "PLAIN password": (
        lambda secured, other: with_password(secured, "PLAIN", kafka_sasl_password="wrong-horse"),
        "refused user archive with PLAIN",
        "STRONGROOM_KAFKA_SASL_USERNAME and _PASSWORD",
    ),
    "user": (
        lambda secured, other: with_password(secured, kafka_sasl_username="nobody"),
        "refused user nobody",
        "STRONGROOM_KAFKA_SASL_USERNAME and _PASSWORD",
    ),
    "authority": (
        lambda secured, other: with_tls(secured, kafka_ca_file=other.trust),
        "certificate was refused: unable to get local issuer certificate",
        "STRONGROOM_KAFKA_CA_FILE",
    ),
    "name": (
        lambda secured, other: with_tls(
            secured, kafka_bootstrap=secured.tls.replace("localhost", "127.0.0.1")
        ),
        "certificate was refused: IP address mismatch",
        "by the name in its certificate",
    ),
    "no certificate": (
        lambda secured, other: with_tls(secured, kafka_bootstrap=secured.mutual),
        "wants another certificate of this client, or one at all",
        "STRONGROOM_KAFKA_CERT_FILE",
    ),
    "unknown certificate": (
        with_certificate,
        "wants another certificate of this client",
        "STRONGROOM_KAFKA_CERT_FILE",
    ),
    "expired certificate": (
        lambda secured, other: with_certificate(secured, secured.authority, expired=True),
        "wants another certificate of this client",
        "STRONGROOM_KAFKA_CERT_FILE",
    ),
    "no login": (
        lambda secured, other: with_tls(secured, kafka_bootstrap=secured.login),
        "gives no answer over SSL",
        "check the security settings",
    ),
    "TLS to a port without": (
        lambda secured, other: with_tls(secured, kafka_bootstrap=secured.kafka.bootstrap),
        "gives no answer over SSL",
        "check the security settings",
    ),
    "clear text to a port with TLS": (
        lambda secured, other: KafkaConnection(secured.tls),
        "gives no answer over PLAINTEXT",
        "check the security settings",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
async def test_who_may_not_get_in_is_told_what_to_mend(
    secured_kafka: SecuredKafka, stranger: Authority, wrong: str
) -> None:
    make, said, remedy = REFUSED[wrong]
    connection = make(secured_kafka, stranger)
    async with asyncio.timeout(15):
        with pytest.raises(Retryable, match=said) as refused:
            await open_client(connection)
    assert remedy in refused.value.remedy
    assert "horse" not in str(refused.value)


async def test_a_cluster_elsewhere_is_not_spoken_to_in_clear_text(secured_kafka: SecuredKafka) -> None:
    """Though the broker that was asked first is here."""
    connection = kafka(Settings(kafka_bootstrap=secured_kafka.far))
    for begin in (partial(open_client, connection), Publisher(connection).start):
        with pytest.raises(Fatal, match=rf"leads to {FAR}:\d+, which would be spoken to in clear text") as no:
            await begin()
        assert "STRONGROOM_KAFKA_TLS" in no.value.remedy
    allowed = kafka(Settings(kafka_bootstrap=secured_kafka.far, allow_clear_text=True))
    await (await open_client(allowed)).close()


async def test_a_broker_behind_the_first_one_is_named(secured_kafka: SecuredKafka) -> None:
    """What that advertises is nobody's port."""
    ports = secured_kafka.kafka.ports
    assert ports is not None
    connection = KafkaConnection(f"127.0.0.1:{ports.behind_proxy}")
    found = await refusals.reason(connection, KafkaConnectionError())
    assert f"leads to 127.0.0.1:{ports.proxied}, which can't be reached" in found.message
    assert "advertised.listeners" in found.remedy


async def test_a_broker_that_answers_by_now_is_not_blamed(secured_kafka: SecuredKafka) -> None:
    found = await refusals.reason(with_password(secured_kafka), KafkaConnectionError())
    assert "answers now" in found.message
