"""Source expressions of a policy, and whether a URL, a nonce or a script's text is among them.

CSP Level 3, 6.7.2: https://www.w3.org/TR/CSP3/#match-url-to-source-expression. Where Chromium is stricter
than its text, Chromium is followed: what is said to be allowed is allowed in both.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import can_ada

from workers.errors import Poison

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
NONE, SELF = "'none'", "'self'"
UNSAFE_INLINE, STRICT_DYNAMIC = "'unsafe-inline'", "'strict-dynamic'"

_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]*"
_SCHEME_SOURCE = re.compile(rf"({_SCHEME}):\Z")
# the query that some write is no part of the grammar; browsers drop it and keep the rest
_HOST_SOURCE = re.compile(
    rf"(?:(?P<scheme>{_SCHEME})://)?(?P<host>\*|(?:\*\.)?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.?)"
    r"(?::(?P<port>\d+|\*))?(?P<path>/[^?#]*)?(?:[?#].*)?\Z"
)
_BASE64 = r"[A-Za-z0-9+/_-]+={0,2}"
_NONCE = re.compile(rf"'nonce-({_BASE64})'\Z", re.IGNORECASE)
_HASH = re.compile(rf"'(sha256|sha384|sha512)-({_BASE64})'\Z", re.IGNORECASE)


class Url(NamedTuple):
    """What a policy looks at of a URL."""

    scheme: str
    host: str
    port: int  # the scheme's own where the URL names none
    path: str

    @property
    def origin(self) -> str:
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def parse_url(text: str) -> Url:
    """A URL of http(s), by the WHATWG URL standard. Raises Poison for anything else."""
    try:
        parsed = can_ada.parse(text)
    except ValueError:
        parsed = None
    scheme = parsed.protocol.removesuffix(":") if parsed is not None else ""
    if parsed is None or scheme not in ("http", "https") or not parsed.hostname:
        raise Poison(
            f"{text!r} is no URL of a web host", remedy="Write it as https://host or https://host:port"
        )
    return Url(
        scheme, parsed.hostname, int(parsed.port) if parsed.port else DEFAULT_PORTS[scheme], parsed.pathname
    )


def allows_url(sources: Sequence[str], url: Url, page: Url, *, redirected: bool = False) -> bool:
    """Whether one of `sources` names `url`. `page` is who 'self' is; behind a redirect paths don't count."""
    return any(_matches(source, url, page, redirected) for source in sources)  # 'none' matches nothing


def has(sources: Iterable[str], keyword: str) -> bool:
    return any(source.lower() == keyword for source in sources)


def nonces(sources: Iterable[str]) -> list[str]:
    return [match[1] for source in sources if (match := _NONCE.match(source))]


def hashes(sources: Iterable[str]) -> list[str]:
    return [source for source in sources if _HASH.match(source)]


def allows_text(sources: Iterable[str], text: str) -> bool:
    """Whether one of the hashes is that of an inline script. Base64 of URLs counts as the plain one."""
    for source in sources:
        if match := _HASH.match(source):
            digest = hashlib.new(match[1].lower(), text.encode("utf-8", "surrogatepass")).digest()
            if base64.b64encode(digest).decode() == match[2].replace("-", "+").replace("_", "/"):
                return True
    return False


def hash_source(text: str) -> str:
    """The source expression that allows an inline script with this text and no other."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _matches(source: str, url: Url, page: Url, redirected: bool) -> bool:
    if source == "*":
        return url.scheme in DEFAULT_PORTS or url.scheme == page.scheme
    if source.lower() == SELF:
        return _is_self(url, page)
    if match := _SCHEME_SOURCE.match(source):
        return _scheme_allows(match[1].lower(), url.scheme)
    if match := _HOST_SOURCE.match(source):
        return (
            _scheme_and_port_allow(match["scheme"], match["port"], url, page)
            and _host_allows(match["host"].lower(), url.host)
            and (redirected or _path_allows(match["path"] or "", url.path))
        )
    return False  # keywords, nonces, hashes, and what no browser understands


def _is_self(url: Url, page: Url) -> bool:
    """The page's own origin, or its upgrade to TLS on default ports (6.7.2.8, step 4)."""
    if url.origin == page.origin:
        return True
    default = url.port == DEFAULT_PORTS[url.scheme] and page.port == DEFAULT_PORTS[page.scheme]
    return url.host == page.host and default and (page.scheme, url.scheme) == ("http", "https")


def _scheme_allows(allowed: str, scheme: str) -> bool:
    return allowed == scheme or (allowed, scheme) in (("http", "https"), ("ws", "wss"))


def _scheme_and_port_allow(scheme: str | None, port: str | None, url: Url, page: Url) -> bool:
    """A source that is upgraded from http to https must be upgraded in its port too: 80 becomes 443."""
    allowed = (scheme or page.scheme).lower()
    if not _scheme_allows(allowed, url.scheme):
        return False
    if port == "*":
        return True
    upgraded = allowed != url.scheme
    if port is None:
        return url.port == DEFAULT_PORTS[url.scheme]
    if int(port) == url.port:
        return not upgraded or url.port == DEFAULT_PORTS[url.scheme]
    return upgraded and (int(port), url.port) == (80, 443)


def _host_allows(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])  # with its dot: *.example.com is not example.com
    return pattern == host


def _path_allows(pattern: str, path: str) -> bool:
    """Piece by piece; with a slash at its end a pattern allows everything below. A star stands for itself."""
    if pattern == "":
        return True
    wanted, given = pattern.split("/"), path.split("/")
    if pattern.endswith("/"):
        wanted = wanted[:-1]
        if len(given) <= len(wanted):
            return False
        given = given[: len(wanted)]
    return [unquote_to_bytes(piece) for piece in wanted] == [unquote_to_bytes(piece) for piece in given]
