"""What a connection tells aiokafka, and what it says when there is no Kafka."""

import asyncio
import ssl

import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal
from workers.stream import refusals
from workers.stream.connection import KafkaConnection


@pytest.mark.parametrize(
    ("tls", "mechanism", "protocol"),
    [
        (False, None, "PLAINTEXT"),
        (True, None, "SSL"),
        (False, "PLAIN", "SASL_PLAINTEXT"),
        (True, "SCRAM-SHA-512", "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_what_is_set(tls: bool, mechanism: str | None, protocol: str) -> None:
    connection = KafkaConnection(
        "a:1, b:2",
        ssl_context=ssl.create_default_context() if tls else None,
        sasl_mechanism=mechanism,
        sasl_username=mechanism and "user",
        sasl_password=mechanism and "secret",
    )
    settings = connection.client_settings()
    assert (settings["security_protocol"], settings["bootstrap_servers"]) == (protocol, ["a:1", "b:2"])
    assert ("sasl_plain_password" in settings) == (mechanism is not None)
    assert "secret" not in repr(connection)


def test_half_a_setting_is_refused() -> None:
    with pytest.raises(Fatal, match="SCRAM-SHA-256"):
        KafkaConnection("a:1", sasl_mechanism="SCRAM-SHA-256", sasl_username="user")
    with pytest.raises(Fatal, match="bootstrap"):
        KafkaConnection(" ")


async def test_a_listener_that_is_mute_is_told_from_one_that_is_absent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals, "PROBE_TIMEOUT", 0.3)
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection = KafkaConnection(f"127.0.0.1:{port}")
    listening = await refusals.reason(connection, KafkaConnectionError("unable to bootstrap"))
    assert f"127.0.0.1:{port} listens but gives no answer over PLAINTEXT" in listening.message
    server.close()
    await server.wait_closed()
    absent = await refusals.reason(connection, KafkaConnectionError("unable to bootstrap"))
    assert absent.message == f"Kafka at 127.0.0.1:{port} can't be reached"
