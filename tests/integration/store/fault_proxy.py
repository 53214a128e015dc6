"""Stands between a client and a real S3 server, and does to a request what networks and servers do."""

import asyncio
from typing import NamedTuple

from aiohttp import web
from yarl import URL

from tests.stack import passing


class Seen(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    connection: int  # which TCP connection it came on


class FaultProxy:
    """Fails the requests that it is told to, and passes the others on. `seen` has each that arrived."""

    def __init__(self, server: str) -> None:
        self._server = URL(server)
        self.seen: list[Seen] = []
        self._next: tuple[str, str] | None = None
        self._over = asyncio.Event()

    async def start(self) -> str:
        """Returns the URL to send to."""
        self._client = passing.client()
        runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._runner = runner
        host, port = runner.addresses[0]
        return f"http://{host}:{port}"

    async def stop(self) -> None:
        self._over.set()
        await self._runner.cleanup()
        await self._client.close()

    def fail_next(self, method: str, fault: str) -> None:
        """`fault`: a status and code, or lost_response, reset, half, damaged, silence, early."""
        self._next = (method, fault)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(
            Seen(
                request.method,
                request.path,
                {name.lower(): value for name, value in request.headers.items()},
                id(request.transport),
            )
        )
        fault = ""
        if self._next is not None and self._next[0] == request.method:
            fault, self._next = self._next[1], None
        if fault.startswith("early "):
            return self._refuse(fault.removeprefix("early "))
        body = bytearray(await request.read())
        match fault:
            case "reset":
                return passing.cut(request)
            case "silence":
                await self._over.wait()
                return passing.cut(request)
            case "half":
                return await passing.half(request, await self._forward(request, bytes(body)))
            case "damaged":
                body[len(body) // 2] ^= 1
            case "" | "lost_response":
                pass
            case _:
                return self._refuse(fault)
        answer = await self._forward(request, bytes(body))
        return answer if fault != "lost_response" else passing.cut(request)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        return await passing.forward(self._client, self._server, request, body)

    @staticmethod
    def _refuse(fault: str) -> web.Response:
        status, code = fault.split(" ")
        return passing.refuse(int(status), code)
