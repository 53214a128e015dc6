"""How to reach Kafka."""

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]  # aiokafka ships no types
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]  # aiokafka ships no types

from workers.errors import Fatal
from workers.stream.refusals import reason
from workers.tls import is_here


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
    allow_clear_text: bool = True  # to brokers on other machines, where those at `bootstrap` lead there

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

    def may_call(self, host: str) -> bool:
        """Whether a broker there may be sent anything: not in clear text that nobody allowed."""
        return self.ssl_context is not None or self.allow_clear_text or is_here(host)

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
    """A bare AIOKafkaClient that knows the cluster.

    Raises as `start` does; Fatal where the cluster would be spoken to in clear text that nobody allowed. Only
    those at `bootstrap` were called by then.
    """
    client = AIOKafkaClient(**connection.client_settings())
    await start(connection, client.bootstrap, client.close)
    for broker in client.cluster.brokers():
        if not connection.may_call(broker.host):
            await client.close()
            raise Fatal(
                f"Kafka at {connection.bootstrap} leads to {broker.host}:{broker.port}, which would be "
                "spoken to in clear text",
                remedy="Set STRONGROOM_KAFKA_TLS=true, or STRONGROOM_ALLOW_CLEAR_TEXT=true on a network that "
                "you trust",
            )
    return client
