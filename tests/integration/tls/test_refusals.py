"""No client sends a byte to a server with a wrong name, authority, date, version or cipher."""

import ssl
from collections.abc import Awaitable, Callable

import pytest

from tests.integration.tls.bare import bare_server
from tests.stack.authority import Authority
from workers.errors import Retryable
from workers.opening import kafka
from workers.settings import Settings
from workers.store.kms import open_kms
from workers.store.port import Store
from workers.store.s3 import open_s3
from workers.stream.connection import open_client

Make = Callable[[Authority, Authority], ssl.SSLContext]  # of the trusted authority and of another


def only_tls_1_1(trusted: Authority, other: Authority) -> ssl.SSLContext:
    server = trusted.server("localhost")
    server.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL itself would not offer it otherwise
    server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_1
    return server


def only_tls_1_2_with(cipher: str) -> Make:
    def make(trusted: Authority, other: Authority) -> ssl.SSLContext:
        server = trusted.server("localhost")
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        server.set_ciphers(cipher)
        return server

    return make


GOOD: dict[str, Make] = {
    "TLS 1.3": lambda trusted, other: trusted.server("localhost"),
    "TLS 1.2": only_tls_1_2_with("ECDHE-ECDSA-AES128-GCM-SHA256"),
}
# what is wrong → such a server, and what is said of it
BAD: dict[str, tuple[Make, str]] = {
    "TLS 1.1": (only_tls_1_1, "no TLS with.*PROTOCOL_VERSION"),
    "CBC": (only_tls_1_2_with("ECDHE-ECDSA-AES128-SHA256"), "no TLS with.*HANDSHAKE_FAILURE"),
    "name": (
        lambda trusted, other: trusted.server("other.example"),
        "certificate was refused: Hostname mismatch",
    ),
    "expired": (
        lambda trusted, other: trusted.server("localhost", expired=True),
        "certificate was refused: certificate has expired",
    ),
    "authority": (
        lambda trusted, other: other.server("localhost"),
        "certificate was refused: unable to get local issuer certificate",
    ),
}


async def call_kafka(port: int, trusted: Authority) -> None:
    settings = Settings(kafka_bootstrap=f"localhost:{port}", kafka_tls=True, kafka_ca_file=trusted.trust)
    await open_client(kafka(settings))


def call_s3(work: Callable[[Store], Awaitable[object]]) -> Callable[[int, Authority], Awaitable[None]]:
    async def call(port: int, trusted: Authority) -> None:
        store = await open_s3("bucket", endpoint=f"https://localhost:{port}", region="us-east-1")
        try:
            await work(store)
        finally:
            await store.close()

    return call


async def call_kms(port: int, trusted: Authority) -> None:
    async with open_kms("us-east-1", endpoint=f"https://localhost:{port}") as kms:
        await kms.decrypt("alias/root", b"wrapped", {})


CLIENTS: dict[str, Callable[[int, Authority], Awaitable[None]]] = {
    "Kafka": call_kafka,
    "KMS": call_kms,
    "S3 light path": call_s3(lambda store: store.put("a/key", b"secret")),
    "S3 listing": call_s3(lambda store: anext(aiter(store.list("a/")))),
    "S3 aioboto3": call_s3(lambda store: store.expiring()),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("wrong", BAD)
async def test_it_is_refused_and_told_why(
    authority: Authority, stranger: Authority, client: str, wrong: str
) -> None:
    make, said = BAD[wrong]
    with (
        bare_server(make(authority, stranger)) as (port, seen),
        pytest.raises(Retryable, match=said) as refused,
    ):
        await CLIENTS[client](port, authority)
    assert "TLS 1.2 with ECDHE" in refused.value.remedy or "name in its certificate" in refused.value.remedy
    assert seen == []


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("right", GOOD)
async def test_what_is_right_is_spoken_to(
    authority: Authority, stranger: Authority, client: str, right: str
) -> None:
    with (
        bare_server(GOOD[right](authority, stranger)) as (port, seen),
        pytest.raises(Retryable, match="no answer"),
    ):
        await CLIENTS[client](port, authority)
    assert seen
