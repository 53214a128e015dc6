"""Stands between a client and a real S3 server, and does to a request what networks and servers do."""

import asyncio
from typing import NamedTuple

import aiohttp
from aiohttp import web
from yarl import URL

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


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
        self._client = aiohttp.ClientSession(
            auto_decompress=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
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
            return _refuse(fault.removeprefix("early "))
        body = bytearray(await request.read())
        match fault:
            case "reset":
                return _cut(request)
            case "silence":
                await self._over.wait()
                return _cut(request)
            case "half":
                return await self._half(request, bytes(body))
            case "damaged":
                body[len(body) // 2] ^= 1
            case "" | "lost_response":
                pass
            case _:
                return _refuse(fault)
        answer = await self._forward(request, bytes(body))
        return answer if fault != "lost_response" else _cut(request)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        """With the Host that the client signed."""
        async with self._client.request(
            request.method,
            URL(f"{self._server.origin()}{request.rel_url.raw_path_qs}", encoded=True),
            headers={n: v for n, v in request.headers.items() if n.lower() not in _HOP},
            data=body,
        ) as answer:
            headers = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=headers)

    async def _half(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        whole = await self._forward(request, body)
        assert isinstance(whole.body, bytes)
        half = web.StreamResponse(
            status=whole.status, headers={**whole.headers, "Content-Length": str(len(whole.body))}
        )
        await half.prepare(request)
        await half.write(whole.body[: len(whole.body) // 2])
        _cut(request)
        return half


def _refuse(answer: str) -> web.Response:
    status, code = answer.split(" ")
    body = f"<Error><Code>{code}</Code></Error>"
    return web.Response(status=int(status), body=body, content_type="application/xml")


def _cut(request: web.BaseRequest) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
