"""One small HTTP server a process: /livez, /readyz and /metrics, for Kubernetes and Prometheus."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from workers.errors import Fatal
from workers.observe.health import Verdict
from workers.observe.metrics import REGISTRY


@asynccontextmanager
async def serve(
    host: str, port: int, *, livez: Callable[[], Verdict], readyz: Callable[[], Verdict]
) -> AsyncIterator[int]:
    """Yields the port. Raises Fatal if it is taken.

    `livez` and `readyz` are asked at each request: 200 if well, else 503, with the reason as text. That /livez
    answers at all shows that the event loop turns.
    """

    async def answer_livez(request: web.Request) -> web.Response:
        return _answer(livez())

    async def answer_readyz(request: web.Request) -> web.Response:
        return _answer(readyz())

    app = web.Application()
    app.router.add_get("/livez", answer_livez)
    app.router.add_get("/readyz", answer_readyz)
    app.router.add_get("/metrics", _metrics)
    # no access log: probes every few seconds would drown the rest
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise Fatal(
                f"can't listen on {host}:{port}: {error.strerror or error}",
                remedy="Set STRONGROOM_HTTP_PORT to a free port, or to 0 for any",
            ) from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _answer(verdict: Verdict) -> web.Response:
    return web.Response(status=200 if verdict.well else 503, text=verdict.reason + "\n")


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
