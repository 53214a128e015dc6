"""How to reach Kafka, and what to tell a person when it can't be reached."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import (  # type: ignore[import-untyped]  # aiokafka ships no types
    KafkaConnectionError,
    KafkaError,
)

from workers.errors import Fatal, Retryable

PROBE_TIMEOUT = 3.0  # seconds for a plain TCP connection when we look for the reason of a failure


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """`bootstrap` is `host:port[,host:port…]`; TLS and SASL where the brokers want them."""

    bootstrap: str
    ssl_context: ssl.SSLContext | None = field(default=None, repr=False)
    sasl_mechanism: str | None = None  # PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    client_id: str = "strongroom"
    request_timeout: float = 10.0  # seconds

    def __post_init__(self) -> None:
        if not self.bootstrap.strip():
            raise Fatal(
                "no Kafka bootstrap address is set", remedy="Set STRONGROOM_KAFKA_BOOTSTRAP=host:port"
            )
        if self.sasl_mechanism and not (self.sasl_username and self.sasl_password):
            raise Fatal(
                f"SASL {self.sasl_mechanism} without a user name and a password",
                remedy="Set both, or neither",
            )

    @property
    def servers(self) -> list[str]:
        return [server.strip() for server in self.bootstrap.split(",") if server.strip()]

    @property
    def protocol(self) -> str:
        secured = "SSL" if self.ssl_context else "PLAINTEXT"
        return f"SASL_{secured}" if self.sasl_mechanism else secured

    def client_settings(self) -> dict[str, Any]:
        """Keyword arguments that every client class of aiokafka takes."""
        settings: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "client_id": self.client_id,
            "request_timeout_ms": int(self.request_timeout * 1000),
            "security_protocol": self.protocol,
            "ssl_context": self.ssl_context,
        }
        if self.sasl_mechanism:
            settings["sasl_mechanism"] = self.sasl_mechanism
            settings["sasl_plain_username"] = self.sasl_username
            settings["sasl_plain_password"] = self.sasl_password
        return settings


async def start(
    connection: KafkaConnection, begin: Callable[[], Awaitable[Any]], end: Callable[[], Awaitable[Any]]
) -> None:
    """Starts a client of aiokafka by `begin`; cleans up by `end` and raises Retryable where that fails."""
    try:
        await begin()
    except (KafkaError, OSError, TimeoutError) as error:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            await end()
        raise await reason(connection, error) from error


async def open_client(connection: KafkaConnection) -> Any:
    """A bare AIOKafkaClient that knows the cluster. Raises as `start` does."""
    client = AIOKafkaClient(**connection.client_settings())
    await start(connection, client.bootstrap, client.close)
    return client


async def reason(connection: KafkaConnection, error: BaseException) -> Retryable:
    """Why `error` happened, in words: aiokafka says "unable to bootstrap" to everything."""
    # the error's own words help where it is not the one that stands for all
    words = "" if isinstance(error, KafkaConnectionError | TimeoutError) else f" ({error})"
    for server in connection.servers:
        if await _accepts_tcp(server):
            return Retryable(
                f"Kafka at {server} listens but gives no answer over {connection.protocol}{words}",
                remedy="Unless it is just starting, check the security settings: TLS, mechanism, password",
            )
    return Retryable(
        f"Kafka at {connection.bootstrap} can't be reached{words}",
        remedy="Check STRONGROOM_KAFKA_BOOTSTRAP, and that the broker is up and its port open",
    )


async def _accepts_tcp(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    return True
