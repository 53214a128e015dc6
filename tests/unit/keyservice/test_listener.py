"""The key service as Amazon's own SDK meets it over HTTP, and as those meet it who speak it badly."""

import asyncio
import json
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
from botocore.config import Config  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import ClientError, SSLError  # type: ignore[import-untyped]  # ships no types

from tests.contract.keystore.world import UNIT
from tests.stack.authority import Authority
from tests.unit.keyservice.world import NAME, World
from workers.errors import Fatal
from workers.keyservice.listener import BODY_MAX, Listener
from workers.roles.process import now
from workers.sealing.keys import context_of, service_context
from workers.store.faults import Fault
from workers.tls import server_context


@pytest.fixture
async def world() -> World:
    world = await World().begin()
    world.time = now()  # boto3 signs by the machine's clock
    return world


@asynccontextmanager
async def listening(
    world: World, context: ssl.SSLContext | None = None, *, connections_max: int = 200, idle: float = 75.0
) -> AsyncIterator[Listener]:
    async with Listener(
        world.service,
        "127.0.0.1",
        0,
        context,
        connections_max=connections_max,
        timeout=5.0,
        idle=idle,
    ) as listener:
        yield listener


def kms(world: World, port: int, workspace: str = "acme", trust: Path | None = None) -> Any:
    reader, secret = world.readers[workspace]
    return boto3.client(
        "kms",
        endpoint_url=f"{'https' if trust else 'http'}://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=reader.access_key_id,
        aws_secret_access_key=secret.text,
        verify=str(trust) if trust else None,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=50),
    )


def decrypt(client: Any, world: World, **changed: Any) -> bytes:
    wanted = {
        "CiphertextBlob": b64decode(world.sealed[UNIT].metadata["x-amz-3"]),
        "EncryptionContext": service_context(context_of(UNIT, NAME)),
        "KeyId": "arn:aws:kms:strongroom:000000000000:key/acme",
        **changed,
    }
    plain: bytes = client.decrypt(**wanted)["Plaintext"]
    return plain


async def raw(port: int, sent: bytes) -> bytes:
    """What comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def test_amazons_sdk_decrypts_a_hundred_at_once(world: World) -> None:
    async with listening(world) as listener:
        client = kms(world, listener.port)
        plains = await asyncio.gather(*(asyncio.to_thread(decrypt, client, world) for _ in range(100)))
        assert len(set(plains)) == 1
        metadata = (await asyncio.to_thread(client.describe_key, KeyId="acme"))["KeyMetadata"]
        assert metadata["KeyState"] == "Enabled"


async def test_amazons_sdk_understands_each_refusal(world: World) -> None:
    async with listening(world) as listener:
        own, rival = kms(world, listener.port), kms(world, listener.port, "rival")
        cases: list[tuple[Callable[[], object], str]] = [
            (lambda: decrypt(rival, world), "AccessDeniedException"),
            (lambda: decrypt(own, world, CiphertextBlob=b"x"), "InvalidCiphertextException"),
            (lambda: own.generate_data_key(KeyId="acme", KeySpec="AES_256"), "AccessDeniedException"),
            (lambda: decrypt(own, world, DryRun=True), "ValidationException"),
        ]
        for ask, code in cases:
            with pytest.raises(ClientError) as refused:
                await asyncio.to_thread(ask)
            assert refused.value.response["Error"]["Code"] == code
            assert refused.value.response["ResponseMetadata"]["RequestId"]


async def test_it_speaks_tls_with_the_certificate_that_it_is_given(world: World, tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "keys"), Authority(tmp_path, "other")
    context = server_context(**authority.issue("service")._asdict())
    async with listening(world, context) as listener:
        assert (
            len(await asyncio.to_thread(decrypt, kms(world, listener.port, trust=authority.trust), world))
            == 32
        )
        with pytest.raises(SSLError):
            await asyncio.to_thread(decrypt, kms(world, listener.port, trust=other.trust), world)


async def test_a_body_that_is_too_large_is_not_read(world: World) -> None:
    async with listening(world) as listener:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n"
        answer = await raw(listener.port, head % (BODY_MAX + 1) + b"x" * (BODY_MAX + 1))
        assert answer.startswith(b"HTTP/1.1 413 ")
        chunked = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = b"%x\r\n%s\r\n" % (BODY_MAX, b"x" * BODY_MAX)
        answer = await raw(listener.port, chunked + chunk * 2 + b"0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\n" + b"X-Many: x\r\n" * 200 + b"\r\n",
        b"POST /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00 a TLS hello to a port without TLS \r\n\r\n",
    ],
    ids=["a long header", "many headers", "a long path", "no HTTP"],
)
async def test_what_is_beyond_measure_is_refused(world: World, sent: bytes) -> None:
    async with listening(world) as listener:
        assert (await raw(listener.port, sent)).startswith(b"HTTP/1.")


async def test_who_sends_nothing_is_hung_up_on(world: World) -> None:
    async with listening(world, idle=0.2) as listener:
        assert await raw(listener.port, b"") == b""
        assert await raw(listener.port, b"POST / HTTP/1.1\r\nHost: h\r\nX-Slow") == b""


async def test_connections_are_counted(world: World) -> None:
    async with listening(world, connections_max=2) as listener:
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(2)]
        assert listener.connections == 2
        assert await raw(listener.port, b"") == b""
        for _, writer in held:
            writer.close()
            await writer.wait_closed()
        while listener.connections:  # noqa: ASYNC110 - it sets no event
            await asyncio.sleep(0.01)
        assert len(await asyncio.to_thread(decrypt, kms(world, listener.port), world)) == 32


async def test_what_is_under_way_is_answered_before_the_end(world: World) -> None:
    async with listening(world) as listener:
        client = kms(world, listener.port)
        world.stores[0].faults.add(Fault.HELD, operation="get")
        asked = asyncio.create_task(asyncio.to_thread(decrypt, client, world))
        while not world.stores[0].faults.injected:  # noqa: ASYNC110 - the store sets no event
            await asyncio.sleep(0.01)
        asyncio.get_running_loop().call_later(0.1, world.stores[0].faults.clear)
    assert len(await asked) == 32


async def test_a_port_that_is_taken_is_said(world: World) -> None:
    async with listening(world) as listener:
        other = Listener(world.service, "127.0.0.1", listener.port, None, connections_max=1, timeout=1.0)
        with pytest.raises(Fatal, match="can't listen"):
            await other.__aenter__()


async def test_answers_are_not_to_be_kept(world: World) -> None:
    async with listening(world) as listener:
        answer = await raw(listener.port, b"GET /livez HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Cache-Control: no-store" in head
        assert json.loads(body)["__type"] == "IncompleteSignatureException"
