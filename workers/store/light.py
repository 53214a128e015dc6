"""The light path of objects: PUT, GET and HEAD, each one request (docs/decisions/002-light-path.md)."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote

import aiohttp

from workers.store.connect import CONNECT_TIMEOUT, READ_TIMEOUT
from workers.store.port import Condition, Got, IfAbsent, Unavailable
from workers.store.refusals import code_in, head_refusal, refusal
from workers.store.wire import NO_HEADERS, Wire

SLOWEST = 1 << 20  # bytes a second: a slower upload is given up
METADATA = "x-amz-meta-"


class Head(NamedTuple):
    """An object's headers."""

    size: int  # bytes
    etag: str
    modified: int  # ms since the epoch
    metadata: Mapping[str, str]


class LightPath:
    """Writes and reads objects of one bucket."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._name = wire.name

    async def put(
        self,
        key: str,
        body: bytes,
        condition: Condition | None,
        metadata: Mapping[str, str],
        digest: str | None,
    ) -> str:
        """One request; see `Store.put`."""
        what = f"put {self._name}/{key}"
        headers = {f"{METADATA}{name}": value for name, value in metadata.items()}
        if condition is not None:
            name, value = (
                ("if-none-match", "*") if isinstance(condition, IfAbsent) else ("if-match", condition.etag)
            )
            headers[name] = value
        timeout = aiohttp.ClientTimeout(
            total=READ_TIMEOUT + len(body) / SLOWEST, sock_connect=CONNECT_TIMEOUT
        )
        async with self._wire.asked(
            "PUT", what, self._path(key), timeout, headers=headers, body=body, digest=digest
        ) as response:
            if response.status != 200:
                raise refusal(what, response.status, code_in(await response.read()))
            return _header(what, response, "ETag")

    async def get(self, key: str, byte_range: str | None) -> Got:
        """One request; `byte_range` as in a Range header. Raises Beyond for one that begins at the end."""
        what = f"get {self._name}/{key}"
        headers = NO_HEADERS if byte_range is None else {"range": byte_range}
        async with self._read("GET", what, key, headers) as response:
            body = await response.read()
            if response.status not in (200, 206):
                raise refusal(what, response.status, code_in(body))
            span = response.headers.get("Content-Range", "")
            size = int(span.rpartition("/")[2]) if span else len(body)
            return Got(body, _header(what, response, "ETag"), size, _metadata(response))

    async def head(self, key: str) -> Head:
        """One request."""
        what = f"stat {self._name}/{key}"
        async with self._read("HEAD", what, key, NO_HEADERS) as response:
            if response.status != 200:
                raise head_refusal(what, response.status)
            return Head(
                int(_header(what, response, "Content-Length")),
                _header(what, response, "ETag"),
                _ms(_header(what, response, "Last-Modified")),
                _metadata(response),
            )

    def _read(
        self, method: str, what: str, key: str, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        return self._wire.asked(method, what, self._path(key), timeout, headers=headers)

    def _path(self, key: str) -> str:
        return self._wire.path + quote(key, safe="/~")


def _metadata(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name.lower().removeprefix(METADATA): value
        for name, value in response.headers.items()
        if name.lower().startswith(METADATA)
    }


def _ms(http_date: str) -> int:
    return round(parsedate_to_datetime(http_date).timestamp() * 1000)


def _header(what: str, response: aiohttp.ClientResponse, name: str) -> str:
    value = response.headers.get(name)
    if not value:
        raise Unavailable(f"{what}: {response.status} without {name}", remedy="Is this an S3 server?")
    return value
