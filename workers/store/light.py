"""The light path of PUT, GET and HEAD: aiohttp and a signature, at a sixth of the cost (docs/decisions/002).

Credentials, their refresh and the address come from botocore; only the request itself is made here.
"""

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types
from botocore.utils import get_environ_proxies  # type: ignore[import-untyped]  # ships no types
from yarl import URL

from workers.store.address import Address
from workers.store.connect import CONNECT_TIMEOUT, CONNECTIONS, READ_TIMEOUT
from workers.store.port import Condition, Got, IfAbsent, Unavailable
from workers.store.refusals import code_in, head_refusal, no_credentials, refusal, unanswered
from workers.store.sigv4 import authorization

KEEP_ALIVE = (
    12.0  # seconds; S3 closes idle connections after 20 or so, and a PUT on one that it closed is lost
)
SLOWEST = 1 << 20  # bytes a second: a slower upload is given up
LARGE = 1 << 20  # bytes; above, a digest takes over 1 ms and is made in a thread


class FrozenCredentials(NamedTuple):
    """botocore's ReadOnlyCredentials."""

    access_key: str
    secret_key: str
    token: str | None


NOTHING = sha256(b"").hexdigest()
METADATA = "x-amz-meta-"


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Takes aiohttp's own second try away: without a word it sends a PUT again whose connection was lost, and
    a conditional one then answers 412 to itself. What lies between may still send it twice (docs/s3.md).
    """
    if request.method != "PUT":
        return await handler(request)
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Lost(error) from error


class _Lost(Exception):
    """Not one of those that aiohttp tries again."""

    def __init__(self, error: aiohttp.ClientError) -> None:
        self.error = error


class Head(NamedTuple):
    """An object's headers."""

    size: int  # bytes
    etag: str
    modified: int  # ms since the epoch
    metadata: Mapping[str, str]


class LightPath:
    """Writes and reads objects of one bucket."""

    def __init__(
        self,
        name: str,
        address: Address,
        credentials: Callable[[], Awaitable[FrozenCredentials]],
        context: ssl.SSLContext,
    ) -> None:
        self._name, self._address, self._credentials = name, address, credentials
        origin = f"{address.scheme}://{address.host}"
        self._origin = origin
        self._proxy: str | None = get_environ_proxies(origin).get(address.scheme)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=context, keepalive_timeout=KEEP_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            auto_decompress=False,
            middlewares=(_once,),
        )

    async def put(
        self, key: str, body: bytes, condition: Condition | None, metadata: Mapping[str, str]
    ) -> str:
        """One request; see `Store.put`."""
        what = f"put {self._name}/{key}"
        path = self._path(key)
        headers = {f"{METADATA}{name}": value for name, value in metadata.items()}
        if condition is not None:
            name, value = (
                ("if-none-match", "*") if isinstance(condition, IfAbsent) else ("if-match", condition.etag)
            )
            headers[name] = value
        headers = await self._signed("PUT", what, path, headers, await _digest(body))
        with _answered(what):
            async with self._session.put(
                URL(self._origin + path, encoded=True),
                # aiohttp writes bytes whole, a file piece by piece with turns of the loop between
                data=body if len(body) <= LARGE else io.BytesIO(body),
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(
                    total=READ_TIMEOUT + len(body) / SLOWEST, sock_connect=CONNECT_TIMEOUT
                ),
            ) as response:
                if response.status != 200:
                    raise refusal(what, response.status, code_in(await response.read()))
                return _header(what, response, "ETag")

    async def get(self, key: str, byte_range: str | None) -> Got:
        """One request; `byte_range` as in a Range header. Raises Beyond for one that begins at the end."""
        what = f"get {self._name}/{key}"
        async with self._asked("GET", what, key, byte_range) as response:
            body = await response.read()
            if response.status not in (200, 206):
                raise refusal(what, response.status, code_in(body))
            span = response.headers.get("Content-Range", "")
            size = int(span.rpartition("/")[2]) if span else len(body)
            return Got(body, _header(what, response, "ETag"), size, _metadata(response))

    async def head(self, key: str) -> Head:
        """One request."""
        what = f"stat {self._name}/{key}"
        async with self._asked("HEAD", what, key, None) as response:
            if response.status != 200:
                raise head_refusal(what, response.status)
            return Head(
                int(_header(what, response, "Content-Length")),
                _header(what, response, "ETag"),
                _ms(_header(what, response, "Last-Modified")),
                _metadata(response),
            )

    @asynccontextmanager
    async def _asked(
        self, method: str, what: str, key: str, byte_range: str | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        path = self._path(key)
        wanted = {} if byte_range is None else {"range": byte_range}
        headers = await self._signed(method, what, path, wanted, NOTHING)
        with _answered(what):
            async with self._session.request(
                method,
                URL(self._origin + path, encoded=True),
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT),
            ) as response:
                yield response

    async def close(self) -> None:
        await self._session.close()

    def _path(self, key: str) -> str:
        return self._address.path + quote(key, safe="/~")

    async def _signed(
        self, method: str, what: str, path: str, own: Mapping[str, str], digest: str
    ) -> dict[str, str]:
        """All headers of a request with the headers `own` and a body of this SHA-256."""
        try:
            access_key, secret_key, token = await self._credentials()
        except (BotoCoreError, ClientError) as error:
            raise no_credentials(what, error) from error
        headers = {
            **own,
            "host": self._address.host,
            "x-amz-content-sha256": digest,
            "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        }
        if token:
            headers["x-amz-security-token"] = token
        headers["authorization"] = authorization(
            method, path, headers, region=self._address.region, access_key=access_key, secret_key=secret_key
        )
        headers["user-agent"] = "strongroom"
        return headers


@contextmanager
def _answered(what: str) -> Iterator[None]:
    """Turns a request that got no answer into the port's error."""
    try:
        yield
    except _Lost as lost:
        raise unanswered(what, lost.error) from lost
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise unanswered(what, error) from error


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


async def _digest(body: bytes) -> str:
    if len(body) <= LARGE:
        return sha256(body).hexdigest()
    return await asyncio.to_thread(lambda: sha256(body).hexdigest())


def frozen(session: Any) -> Callable[[], Awaitable[FrozenCredentials]]:
    """Credentials as aioboto3's session has them now; it renews those that expire soon."""

    async def current() -> FrozenCredentials:
        credentials = await session.get_credentials()
        return FrozenCredentials(*(await credentials.get_frozen_credentials())[:3])

    return current
