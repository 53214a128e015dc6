"""One port answers probes and Prometheus."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.stack.authority import Authority
from workers.errors import Fatal
from workers.observe.health import Verdict
from workers.observe.http import HealthServer
from workers.opening import health_server
from workers.settings import Settings


class Watched:
    def __init__(self) -> None:
        self.live = self.ready = Verdict(True, "fine")

    def livez(self) -> Verdict:
        return self.live

    def readyz(self) -> Verdict:
        return self.ready


async def get(server: HealthServer, path: str, client: ssl.SSLContext | None = None) -> tuple[int, str]:
    url = f"{'https' if client else 'http'}://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=client or True) as answer:
        return answer.status, await answer.text()


async def test_alive_but_not_ready_while_it_starts() -> None:
    async with HealthServer("127.0.0.1", 0) as server:
        assert await get(server, "/livez") == (200, "starting\n")
        assert await get(server, "/readyz") == (503, "starting\n")


async def test_the_verdicts_of_the_moment_are_told() -> None:
    async with HealthServer("127.0.0.1", 0) as server:
        watched = Watched()
        server.watch(watched)
        assert await get(server, "/readyz") == (200, "fine\n")
        watched.live = Verdict(False, "stuck")
        assert await get(server, "/livez") == (503, "stuck\n")
        assert await get(server, "/readyz") == (200, "fine\n")


async def test_metrics_are_in_prometheus_text_format() -> None:
    async with HealthServer("127.0.0.1", 0) as server:
        status, text = await get(server, "/metrics")
    assert status == 200
    assert "# TYPE strongroom_records_total counter" in text
    assert "process_resident_memory_bytes" in text


async def test_nothing_else_is_served() -> None:
    async with HealthServer("127.0.0.1", 0) as server:
        assert (await get(server, "/tables"))[0] == 404


async def test_a_port_that_is_taken_is_said() -> None:
    async with HealthServer("127.0.0.1", 0) as server:
        with pytest.raises(Fatal, match=f"127.0.0.1:{server.port}") as refused:
            async with HealthServer("127.0.0.1", server.port):
                pass
    assert "STRONGROOM_HTTP_PORT" in refused.value.remedy


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[HealthServer, ssl.SSLContext]]:
    """A server as the settings make it, and somebody's client that trusts it."""
    authority = Authority(tmp_path, "trusted")
    cert_file, key_file = authority.issue("worker")
    settings = Settings(http_port=0, http_cert_file=cert_file, http_key_file=key_file)
    async with health_server(settings) as server:
        yield server, ssl.create_default_context(cafile=str(authority.trust))


async def test_with_a_certificate_it_speaks_https_alone(
    secured: tuple[HealthServer, ssl.SSLContext],
) -> None:
    server, client = secured
    assert await get(server, "/livez", client) == (200, "starting\n")
    with pytest.raises(aiohttp.ClientError):
        await get(server, "/livez")


async def test_what_is_too_weak_is_refused(secured: tuple[HealthServer, ssl.SSLContext]) -> None:
    server, client = secured
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers, taken in (("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES128-SHA256", False)):
        client.set_ciphers(ciphers)
        if taken:
            assert (await get(server, "/livez", client))[0] == 200
        else:
            with pytest.raises(aiohttp.ClientConnectorError):  # asyncio hangs up before it says why
                await get(server, "/livez", client)
    client.set_ciphers("ALL:@SECLEVEL=0")
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(server, "/livez", client)
