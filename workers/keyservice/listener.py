"""The key service's HTTP side: connections, limits and time-outs, whatever the calls are about."""

import asyncio
import logging
import ssl
import time
import uuid
from types import TracebackType
from typing import Self

import structlog
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from workers.errors import Fatal
from workers.keyservice import kms
from workers.keyservice.refusal import Code, Outcome, Refusal
from workers.keyservice.service import Answer, Service
from workers.keyservice.signed import Request
from workers.observe import metrics

log = structlog.get_logger()

BODY_MAX = 64 * 1024  # bytes
LINE_MAX = 2048  # bytes, of the request's first line
FIELD_MAX = 8192  # bytes, of one header
HEADERS_MAX = 64
IDLE = 75.0  # seconds in which a connection must have sent the headers of its next call
HANDSHAKE = 10.0  # seconds
DRAIN = 10.0  # seconds that calls under way get at a stop
NEVER_STORED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Listener:
    """A context manager. Port 0 takes a free one: `port` says which. With a context it speaks HTTPS alone.

    `timeout`: seconds a call may take. At the end calls under way are answered, further ones are not taken.
    """

    def __init__(
        self,
        service: Service,
        host: str,
        port: int,
        context: ssl.SSLContext | None,
        *,
        connections_max: int,
        timeout: float,
        idle: float = IDLE,
    ) -> None:
        self.host, self.port = host, port
        self._service, self._context = service, context
        self._connections_max, self._timeout, self._idle = connections_max, timeout, idle

    async def __aenter__(self) -> Self:
        """Raises Fatal if the port is taken."""
        loop = asyncio.get_running_loop()
        self._protocols = web.Server(
            self._serve,
            request_factory=self._request,
            access_log=None,  # the audit lines say more
            logger=_nothing(),  # what does not speak HTTP could fill the log, and is told so
            keepalive_timeout=self._idle,
            max_line_size=LINE_MAX,
            max_field_size=FIELD_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,  # a body is signed as it was sent
        )
        try:
            self._server = await loop.create_server(
                self._connection,
                self.host,
                self.port,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE if self._context else None,
                backlog=256,
            )
        except OSError as error:
            raise Fatal(
                f"can't listen on {self.host}:{self.port}: {error.strerror or error}",
                remedy="Set STRONGROOM_KEYSERVICE_HOST and _PORT to an address that is free",
            ) from None
        self.port = self._server.sockets[0].getsockname()[1]
        log.info("key_service_listening", host=self.host, port=self.port, tls=self._context is not None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._protocols.pre_shutdown()
        await self._protocols.shutdown(DRAIN)

    @property
    def connections(self) -> int:
        """Those that are open."""
        return len(self._protocols.connections)

    def _connection(self) -> asyncio.Protocol:
        if self.connections >= self._connections_max:
            metrics.KEY_SERVICE_TURNED_AWAY.inc()
            return _TurnedAway()
        return self._protocols()

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_MAX)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        begun = time.monotonic()
        request_id = str(uuid.uuid4())
        answer = await self._answer(request, request_id)
        metrics.KEY_SERVICE_SECONDS.observe(time.monotonic() - begun)
        response = web.Response(
            status=answer.status,
            body=answer.body,
            content_type=kms.CONTENT_TYPE,
            headers={"x-amzn-RequestId": request_id, **NEVER_STORED},
        )
        if answer.status in (Code.TOO_LARGE.status, Code.SLOW.status):
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, request_id: str) -> Answer:
        peer = request.remote or "unknown"
        try:
            async with asyncio.timeout(self._timeout):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            refusal = Refusal(Code.TOO_LARGE, Outcome.MALFORMED, f"A request has {BODY_MAX} bytes at most.")
            return self._service.refuse(refusal, peer, request_id)
        except TimeoutError:
            refusal = Refusal(Code.SLOW, Outcome.MALFORMED, "The request did not arrive in time.")
            return self._service.refuse(refusal, peer, request_id)
        asked = Request(request.method, request.raw_path, list(request.headers.items()), body)
        return await self._service.answer(asked, peer, request_id)


class _TurnedAway(asyncio.Protocol):
    """For one connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def _nothing() -> logging.Logger:
    quiet = logging.getLogger("strongroom.keyservice.http")
    quiet.setLevel(logging.CRITICAL + 1)
    return quiet
