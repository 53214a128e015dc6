"""One request of a bucket: aiohttp and a signature, at a sixth of what aioboto3 takes (docs/decisions/002).

Credentials, their refresh and the address come from botocore; only the request itself is made here.
"""

import asyncio
import io
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types
from botocore.utils import get_environ_proxies  # type: ignore[import-untyped]  # ships no types
from yarl import URL

from workers.store.address import Address
from workers.store.connect import CONNECTIONS
from workers.store.refusals import no_credentials, unanswered
from workers.store.sigv4 import authorization

KEEP_ALIVE = (
    12.0  # seconds; S3 closes idle connections after 20 or so, and a PUT on one that it closed is lost
)
LARGE = 1 << 20  # bytes; above, a digest takes over 1 ms and is made in a thread
NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class FrozenCredentials(NamedTuple):
    """botocore's ReadOnlyCredentials."""

    access_key: str
    secret_key: str
    token: str | None


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


def unheard(operation: str) -> None:
    """Nobody counts requests."""


class Wire:
    """Requests of one bucket. `name` is for messages; `told` hears of each request, as one of OPERATIONS."""

    def __init__(
        self,
        name: str,
        address: Address,
        credentials: Callable[[], Awaitable[FrozenCredentials]],
        context: ssl.SSLContext,
        told: Callable[[str], None] = unheard,
    ) -> None:
        self.name, self.path = name, address.path
        self._told = told
        self._address, self._credentials = address, credentials
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

    @asynccontextmanager
    async def asked(
        self,
        method: str,
        what: str,
        path: str,
        timeout: aiohttp.ClientTimeout,
        *,
        query: str = "",
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes | None = None,
        digest: str | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request; whatever the server says is the caller's to judge. Raises Denied, Unavailable.

        `what` is the operation and its object; `query` as `sigv4.query_of` makes it; `digest` the body's
        SHA-256 in hex, where it is known.
        """
        self._told(what.partition(" ")[0])
        signed = await self._signed(method, what, path, query, headers, digest or await _digest(body or b""))
        with _answered(what):
            async with self._session.request(
                method,
                URL(f"{self._origin}{path}?{query}" if query else self._origin + path, encoded=True),
                # aiohttp writes bytes whole, a file piece by piece with turns of the loop between
                data=body if body is None or len(body) <= LARGE else io.BytesIO(body),
                headers=signed,
                allow_redirects=False,
                proxy=self._proxy,
                timeout=timeout,
            ) as response:
                yield response

    async def close(self) -> None:
        await self._session.close()

    async def _signed(
        self, method: str, what: str, path: str, query: str, own: Mapping[str, str], digest: str
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
            method,
            path,
            headers,
            region=self._address.region,
            access_key=access_key,
            secret_key=secret_key,
            query=query,
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
