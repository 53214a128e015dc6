"""One small HTTP server a process: /livez, /readyz and /metrics, for Kubernetes and Prometheus."""

import ssl
from types import TracebackType
from typing import Protocol, Self

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from workers.errors import Fatal
from workers.observe.health import Verdict
from workers.observe.metrics import REGISTRY

log = structlog.get_logger()


class Watched(Protocol):
    def livez(self) -> Verdict: ...

    def readyz(self) -> Verdict: ...


class Starting:
    """Until there is something to watch: alive, for /livez answers; not ready."""

    def livez(self) -> Verdict:
        return Verdict(True, "starting")

    def readyz(self) -> Verdict:
        return Verdict(False, "starting")


class HealthServer:
    """A context manager. /livez and /readyz answer 200 if well, else 503, with the reason as text.

    Port 0 takes a free one: `port` says which. That /livez answers at all shows that the event loop turns.
    With a context it speaks HTTPS alone.
    """

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        self.host = host
        self.port = port
        self._context = context
        self._watched: Watched = Starting()
        app = web.Application()
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        # no access log: probes every few seconds would drown the rest
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False)

    def watch(self, watched: Watched) -> None:
        """From now on `watched` is asked, at each request."""
        self._watched = watched

    async def __aenter__(self) -> Self:
        """Raises Fatal if the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port, ssl_context=self._context).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Fatal(
                f"can't listen on {self.host}:{self.port}: {error.strerror or error}",
                remedy="Set STRONGROOM_HTTP_PORT to a free port, or to 0 for any",
            ) from None
        self.port = self._runner.addresses[0][1]
        log.info("listening", host=self.host, port=self.port, tls=self._context is not None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _livez(self, request: web.Request) -> web.Response:
        return _answer(self._watched.livez())

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(self._watched.readyz())

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _answer(verdict: Verdict) -> web.Response:
    return web.Response(status=200 if verdict.well else 503, text=verdict.reason + "\n")
