"""How aioboto3 connects: TLS that verifies names, through a proxy too, and no clear text off this machine.

aiobotocore's own context does not check host names, its proxies check no certificate at all, and a session's
default configuration loses the class that would mend it (docs/s3.md, TLS). All three are mended here.
"""

import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aioboto3  # type: ignore[import-untyped]  # ships no types
import aiohttp
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # ships no types
from aiobotocore.httpsession import AIOHTTPSession  # type: ignore[import-untyped]  # ships no types
from botocore.exceptions import NoCredentialsError  # type: ignore[import-untyped]  # ships no types
from botocore.loaders import Loader, create_loader  # type: ignore[import-untyped]  # ships no types

from workers.errors import Fatal
from workers.tls import client_context, is_here

CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 30.0  # seconds without a byte
CONNECTIONS = 128  # callers bound how many they use


def refuse_clear_text(url: str, *, allow_http: bool) -> None:
    """Raises Fatal for an `http://` URL of another machine."""
    address = urlsplit(url)
    if not allow_http and address.scheme != "https" and not is_here(address.hostname or ""):
        raise Fatal(
            f"{url} would send everything unencrypted",
            remedy="Use https://, or allow clear text where the network itself is trusted",
        )


class Session(NamedTuple):
    """What clients of AWS's services are made of."""

    aws: Any  # aioboto3's
    http: type[Any]  # for a client's configuration
    context: ssl.SSLContext


async def open_session(*, allow_http: bool) -> Session:
    """With the credentials that botocore finds; connects to nothing but their source.

    AWS_CA_BUNDLE names authorities to trust instead of the system's. Raises Fatal for one that was never good
    (tls_rotation.py), and what botocore and aiohttp raise; NoCredentialsError where there are none.
    """
    session = aioboto3.Session()
    core = session._session  # aioboto3 hands its defaults on only here
    core.register_component("data_loader", _descriptions(core.get_config_variable("data_path")))
    authorities = core.get_config_variable("ca_bundle")
    context = _context(authorities)
    http = http_session(context, allow_http=allow_http)
    # for the clients that botocore itself opens to get credentials
    core.set_default_client_config(VerifiedConfig(http_session_cls=http))
    if await session.get_credentials() is None:
        raise NoCredentialsError
    return Session(session, http, context)


@lru_cache
def _descriptions(paths: str | None) -> Loader:
    """Of AWS's services, for all sessions: to parse them is half of what it takes to open a bucket."""
    return create_loader(paths)


@lru_cache
def _context(authorities: str | None) -> ssl.SSLContext:
    """For all sessions: to read authorities takes 20 ms. It follows its file; the system's are read once."""
    return client_context(ca_file=Path(authorities) if authorities else None)


def http_session(context: ssl.SSLContext, *, allow_http: bool) -> type[Any]:
    """The class of HTTP sessions that aioboto3's clients are given."""

    class VerifiedSession(AIOHTTPSession):  # type: ignore[misc]  # ships no types
        def _get_ssl_context(self) -> ssl.SSLContext:
            return context

        def _create_connector(self, proxy_url: str | None) -> aiohttp.TCPConnector:
            return aiohttp.TCPConnector(limit=self._max_pool_connections, ssl=context, **self._connector_args)

        async def send(self, request: Any) -> Any:
            refuse_clear_text(request.url.partition("?")[0], allow_http=allow_http)
            return await super().send(request)

    return VerifiedSession


class VerifiedConfig(AioConfig):  # type: ignore[misc]  # ships no types
    """Keeps its HTTP session class when a client's own configuration is merged into a session's default."""

    def merge(self, other_config: Any) -> Any:
        merged = super().merge(other_config)
        merged.http_session_cls = self.http_session_cls
        return merged
