"""Why Kafka gives no answer, with the remedy: aiokafka says "unable to bootstrap" to everything."""

import asyncio
import ssl
from typing import TYPE_CHECKING

from aiokafka.conn import create_conn  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Retryable

if TYPE_CHECKING:
    from workers.stream.connection import KafkaConnection

PROBE_TIMEOUT = 3.0  # seconds for each call when we look for the reason of a failure
# what a broker sends that does not like the client's certificate, or misses one (RFC 8446, section 6.2)
ABOUT_OUR_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA")


async def reason(connection: "KafkaConnection", error: BaseException) -> Retryable:
    """Why `error` happened: each broker is called once more, in the way that the client does it."""
    # the error's own words help where it is not the one that stands for all
    words = "" if isinstance(error, KafkaConnectionError | TimeoutError) else f" ({error})"
    for server in connection.servers:
        if await _accepts_tcp(server):
            return await _refusal(connection, server, words)
    return Retryable(
        f"Kafka at {connection.bootstrap} can't be reached{words}",
        remedy="Check STRONGROOM_KAFKA_BOOTSTRAP, and that the broker is up and its port open",
    )


async def _refusal(connection: "KafkaConnection", server: str, words: str) -> Retryable:
    """What a server that listens has against us, or the first broker that it leads to."""
    try:
        brokers = await _enter(connection, server)
    except (KafkaError, OSError, TimeoutError) as error:
        return meaning(connection, server, error, words)
    for broker in brokers:
        if not connection.may_call(_split(broker)[0]):
            continue  # `open_client` says so
        if not await _accepts_tcp(broker):
            return Retryable(
                f"Kafka at {server} leads to {broker}, which can't be reached{words}",
                remedy="Check that broker, and the address that it advertises (advertised.listeners)",
            )
        try:
            await _enter(connection, broker)
        except (KafkaError, OSError, TimeoutError) as error:
            return meaning(connection, broker, error, words)
    return Retryable(
        f"Kafka at {server} answers now, and did not before{words}",
        remedy="It was just starting, or is busy: try again",
    )


async def _enter(connection: "KafkaConnection", server: str) -> list[str]:
    """Connects and logs in; the addresses of the cluster's brokers. Raises what aiokafka does."""
    host, port = _split(server)
    settings = connection.client_settings()
    del settings["bootstrap_servers"]
    async with asyncio.timeout(PROBE_TIMEOUT):
        entered = await create_conn(host, port, **settings)
        try:
            answer = await entered.send(MetadataRequest([]))
        finally:
            entered.close()
    return [_address(broker[1], broker[2]) for broker in answer.brokers]


def meaning(connection: "KafkaConnection", server: str, error: BaseException, words: str = "") -> Retryable:
    """What the failure to connect to `server` or to log in there means."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Retryable(
                f"Kafka at {server}: its certificate was refused: {cause.verify_message}",
                remedy="Call the broker by the name in its certificate, trust its authority "
                "(STRONGROOM_KAFKA_CA_FILE), renew what has expired",
            )
        if isinstance(cause, ssl.SSLError):
            return _tls_refusal(server, cause.reason or "")
        if isinstance(cause, SaslAuthenticationFailed):
            return Retryable(
                f"Kafka at {server} refused user {connection.sasl_username} with {connection.sasl_mechanism}",
                remedy="Check STRONGROOM_KAFKA_SASL_USERNAME and _PASSWORD, and that the user is known for "
                "this mechanism",
            )
        if isinstance(cause, UnsupportedSaslMechanismError):
            return Retryable(
                f"Kafka at {server} does not know {connection.sasl_mechanism}",
                remedy="Set STRONGROOM_KAFKA_SASL_MECHANISM to one of the broker's (sasl.enabled.mechanisms)",
            )
        cause = cause.__cause__ or cause.__context__
    return Retryable(
        f"Kafka at {server} listens but gives no answer over {connection.protocol}{words}",
        remedy="Unless it is just starting, check the security settings: TLS, mechanism, password",
    )


def _tls_refusal(server: str, said: str) -> Retryable:
    if "ALERT" in said and any(part in said for part in ABOUT_OUR_CERTIFICATE):
        return Retryable(
            f"Kafka at {server} wants another certificate of this client, or one at all: {said}",
            remedy="Set STRONGROOM_KAFKA_CERT_FILE and STRONGROOM_KAFKA_KEY_FILE to a certificate that its "
            "authorities vouch for and that has not expired",
        )
    return Retryable(
        f"Kafka at {server}: no TLS with the broker: {said}",
        remedy="The broker must speak TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3. Is this its port for TLS?",
    )


async def _accepts_tcp(server: str) -> bool:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            _, writer = await asyncio.open_connection(*_split(server))
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(server: str) -> tuple[str, int]:
    """Of `host:port` or `[::1]:port`."""
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)
