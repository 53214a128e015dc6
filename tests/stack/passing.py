"""What a proxy before an S3 server does to one request: passes it on, refuses it, breaks its answer off."""

import aiohttp
from aiohttp import web
from yarl import URL

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


def client() -> aiohttp.ClientSession:
    """One that adds nothing to a request that is signed."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def forward(
    to: aiohttp.ClientSession, server: URL, request: web.BaseRequest, body: bytes
) -> web.Response:
    """With the Host that the client signed."""
    async with to.request(
        request.method,
        URL(f"{server.origin()}{request.rel_url.raw_path_qs}", encoded=True),
        headers={n: v for n, v in request.headers.items() if n.lower() not in _HOP},
        data=body,
    ) as answer:
        headers = {n: v for n, v in answer.headers.items() if n.lower() not in _HOP}
        if request.method == "HEAD":
            headers["Content-Length"] = answer.headers.get("Content-Length", "0")
            return web.Response(status=answer.status, headers=headers)
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)


def refuse(status: int, code: str) -> web.Response:
    body = f"<Error><Code>{code}</Code></Error>"
    return web.Response(status=status, body=body, content_type="application/xml")


def cut(request: web.BaseRequest) -> web.Response:
    """Breaks the connection; the answer reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def half(request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
    """The first half of an answer, and then the connection is broken."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    length = str(max(len(body), 2))  # a PUT's answer has no body: it promises one
    answer = web.StreamResponse(status=whole.status, headers={**whole.headers, "Content-Length": length})
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2] or b"<")
    cut(request)
    return answer
