"""Servers that take conditional headers and do not keep what they mean are refused at the start."""

import asyncio
import hashlib
import re
from enum import Flag, auto

import pytest
from aiohttp import web

from tests.integration.store.listener import listening
from workers.errors import Fatal
from workers.store.proof import prove
from workers.store.s3 import open_s3


class Breaks(Flag):
    NOTHING = 0
    IF_NONE_MATCH = auto()  # ignored
    IF_MATCH = auto()  # ignored
    RACES = auto()  # looks, waits, writes


class Server:
    """As much of S3 as the proof asks for."""

    def __init__(self, breaks: Breaks) -> None:
        self._breaks = breaks
        self.objects: dict[str, bytes] = {}

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        body = await request.read()
        match request.method:
            case "PUT":
                return await self._put(request, body)
            case "GET" if request.path in self.objects:
                return _found(self.objects[request.path])
            case "POST":
                for key in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                    self.objects.pop(f"{request.path.rstrip('/')}/{key}", None)
                return web.Response(text="<DeleteResult/>", content_type="application/xml")
            case _:
                return web.Response(status=404, text="<Error><Code>NoSuchKey</Code></Error>")

    async def _put(self, request: web.BaseRequest, body: bytes) -> web.Response:
        refused = self._refuses(request)
        if Breaks.RACES in self._breaks:
            await asyncio.sleep(0.05)
        if refused:
            return web.Response(status=412, text="<Error><Code>PreconditionFailed</Code></Error>")
        self.objects[request.path] = body
        return _found(body)

    def _refuses(self, request: web.BaseRequest) -> bool:
        stored = self.objects.get(request.path)
        if "If-None-Match" in request.headers and Breaks.IF_NONE_MATCH not in self._breaks:
            return stored is not None
        if "If-Match" in request.headers and Breaks.IF_MATCH not in self._breaks:
            return stored is None or request.headers["If-Match"] != _etag(stored)
        return False


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def _found(body: bytes) -> web.Response:
    return web.Response(body=body, headers={"ETag": _etag(body)})


async def proven(breaks: Breaks) -> dict[str, bytes]:
    """What is left on the server."""
    server = Server(breaks)
    async with listening(server) as port:
        store = await open_s3("bucket", endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
        try:
            await prove(store)
        finally:
            await store.close()
    return server.objects


async def test_the_double_passes_where_it_breaks_nothing() -> None:
    assert await proven(Breaks.NOTHING) == {}


@pytest.mark.parametrize(
    ("breaks", "header"),
    [
        (Breaks.IF_NONE_MATCH, "If-None-Match"),
        (Breaks.IF_MATCH, "If-Match"),
        (Breaks.IF_NONE_MATCH | Breaks.IF_MATCH, "If-None-Match"),
        (Breaks.RACES, "If-None-Match"),
    ],
)
async def test_a_server_that_breaks_a_condition_is_refused(breaks: Breaks, header: str) -> None:
    with pytest.raises(Fatal, match=f"s3://bucket does not honour {header}: .*use AWS S3"):
        await proven(breaks)
