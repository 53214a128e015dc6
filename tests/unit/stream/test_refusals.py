"""What a broker's refusal means, where no broker of the tests refuses in that way."""

import ssl

import pytest
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    KafkaConnectionError,
    UnsupportedSaslMechanismError,
)

from workers.stream.connection import KafkaConnection
from workers.stream.refusals import meaning

CONNECTION = KafkaConnection("a:1", ssl.create_default_context(), "PLAIN", "user", "secret")


def test_a_mechanism_that_the_broker_lacks_is_named() -> None:
    found = meaning(CONNECTION, "a:1", UnsupportedSaslMechanismError())
    assert found.message == "Kafka at a:1 does not know PLAIN"
    assert "STRONGROOM_KAFKA_SASL_MECHANISM" in found.remedy


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "STRONGROOM_KAFKA_CERT_FILE"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "STRONGROOM_KAFKA_CERT_FILE"),
        ("TLSV1_ALERT_UNKNOWN_CA", "STRONGROOM_KAFKA_CERT_FILE"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "TLS 1.2"),
        ("WRONG_VERSION_NUMBER", "its port for TLS"),
    ],
)
def test_what_tls_says_is_found_under_what_aiokafka_says(said: str, remedy: str) -> None:
    error = KafkaConnectionError("closed")
    error.__cause__ = ssl.SSLError(1, "x")
    error.__cause__.reason = said
    found = meaning(CONNECTION, "a:1", error)
    assert said in found.message
    assert remedy in found.remedy
