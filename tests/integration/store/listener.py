"""Small HTTP servers of a test: one that any S3 client is content with, and a proxy that tunnels to it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def listening(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Its port on 127.0.0.1."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, shutdown_timeout=1).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


class Content:
    """Says yes to everything. `seen` has each request's headers, names in lower case."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        return web.Response(
            body=b"<a/>", headers={"ETag": '"0"', "Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT"}
        )


@asynccontextmanager
async def tunnel() -> AsyncIterator[tuple[int, list[str]]]:
    """A CONNECT proxy: its port, and the destinations that it was asked for."""
    asked: list[str] = []
    pumps: set[asyncio.Task[None]] = set()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # either end may go first
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        destination = request.split()[1].decode()
        asked.append(destination)
        host, _, port = destination.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for ends in ((reader, far_writer), (far_reader, writer)):
            pumps.add(asyncio.create_task(pump(*ends)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1], asked
    server.close()
    for one in pumps:
        one.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)
