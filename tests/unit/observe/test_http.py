"""One port answers probes and Prometheus."""

import aiohttp
import pytest

from workers.errors import Fatal
from workers.observe.health import Verdict
from workers.observe.http import HealthServer


class Watched:
    def __init__(self) -> None:
        self.live = self.ready = Verdict(True, "fine")

    def livez(self) -> Verdict:
        return self.live

    def readyz(self) -> Verdict:
        return self.ready


async def get(server: HealthServer, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
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
