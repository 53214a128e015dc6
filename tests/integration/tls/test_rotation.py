"""Every certificate and every authority is replaced while clients and servers run; nothing restarts."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.store.listener import listening
from tests.stack.authority import Authority
from tests.stack.kafka import Kafka
from workers import tls_rotation
from workers.opening import kafka as connection_of
from workers.settings import Settings
from workers.store.s3 import open_s3
from workers.stream.publish import Publisher
from workers.tls import server_context

NAMES = ("ca.pem", "server.crt", "server.key", "client.crt", "client.key")


class Files:
    """What both ends read, in `folder`. Whoever trusts one generation does not trust another."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        (folder / "live").mkdir()
        self.ca, self.cert, self.key, self.client_cert, self.client_key = (
            folder / "live" / name for name in NAMES
        )
        self.replace("first")
        # who waits for the next look waits for nothing else
        monkeypatch.setattr(tls_rotation, "LOOK_EVERY", 0.0)

    def replace(self, generation: str) -> None:
        made = self._folder / generation
        made.mkdir()
        authority = Authority(made, "authority")
        sources = (
            authority.trust,
            *authority.issue(f"{generation} server"),
            *authority.issue(f"{generation} client"),
        )
        for source, name in zip(sources, NAMES, strict=True):
            shutil.copy(source, made / name)
            (made / name).replace(self._folder / "live" / name)

    def server(self) -> ssl.SSLContext:
        """Ours, which asks for a certificate."""
        return server_context(cert_file=self.cert, key_file=self.key, client_ca_file=self.ca)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def common_name(certificate: Any) -> str:
    return str(dict(part[0] for part in certificate["subject"])["commonName"])


class Front:
    """Ends TLS before a broker. `shown` has the name in each client's certificate."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._open: set[asyncio.StreamWriter] = set()
        self.shown: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shown.append(common_name(writer.get_extra_info("peercert")))
        behind, ahead = await asyncio.open_connection("127.0.0.1", self._upstream)
        ends = {writer, ahead}
        self._open |= ends
        await asyncio.gather(pump(reader, ahead), pump(behind, writer))
        self._open -= ends

    def drop(self) -> None:
        """Every connection."""
        for writer in self._open:
            writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass  # either end may go first
    finally:
        writer.close()


@asynccontextmanager
async def front(kafka: Kafka, context: ssl.SSLContext) -> AsyncIterator[Front]:
    """Where the broker's second listener says that it is."""
    assert kafka.ports is not None
    front = Front(kafka.ports.behind_proxy)
    server = await asyncio.start_server(front.serve, "127.0.0.1", kafka.ports.proxied, ssl=context)
    yield front
    server.close()
    front.drop()


async def test_a_producer_of_aiokafkas_goes_on_with_new_certificates(
    kafka: Kafka, topic_name: str, files: Files
) -> None:
    kafka.create_topic(topic_name)
    assert kafka.ports is not None
    settings = Settings(
        kafka_bootstrap=f"127.0.0.1:{kafka.ports.proxied}",
        kafka_tls=True,
        kafka_ca_file=files.ca,
        kafka_cert_file=files.client_cert,
        kafka_key_file=files.client_key,
    )
    publisher = Publisher(connection_of(settings))
    async with front(kafka, files.server()) as seen:
        await publisher.start()
        await publisher.send_and_wait(topic_name, None, b"with the first")
        files.replace("second")
        await publisher.send_and_wait(topic_name, None, b"by the connection that is open")
        assert set(seen.shown) == {"first client"}
        seen.drop()
        await publisher.send_and_wait(topic_name, None, b"with the second")
        assert seen.shown[-1] == "second client"
        await publisher.stop()


async def test_both_ways_to_s3_go_on_with_new_certificates(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(files.ca))
    served = 0

    async def content(request: web.BaseRequest) -> web.Response:
        nonlocal served
        await request.read()
        served += 1
        answer = web.Response(body=b"<a/>", headers={"ETag": '"0"'})
        answer.force_close()  # the next request connects anew
        return answer

    async with listening(content, server_context(cert_file=files.cert, key_file=files.key)) as port:
        store = await open_s3("bucket", endpoint=f"https://localhost:{port}", region="us-east-1")
        for generation in ("second", "third"):
            await store.put("a/key", b"x")
            await store.expiring()
            files.replace(generation)
            assert await shown_to_somebody_new(files.ca, port) == f"{generation} server"
        await store.put("a/key", b"x")
        await store.expiring()
        await store.close()
    assert served == 6


async def shown_to_somebody_new(ca_file: Path, port: int) -> str:
    """By a server, to a client that was not there before."""
    client = ssl.create_default_context(cafile=str(ca_file))
    _, writer = await asyncio.open_connection("localhost", port, ssl=client)
    writer.close()
    return common_name(writer.get_extra_info("peercert"))
