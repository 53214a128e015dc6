"""Hosts of web pages as a browser reads them, and patterns that name a customer's own (docs/origins.md)."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import can_ada

from workers.errors import Poison

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

WEB_SCHEMES = frozenset({"http:", "https:", "ws:", "wss:"})
SHORT = 128  # characters of a URL
MAX_HOST = 253  # characters of a DNS name (RFC 1035, 2.3.4, less the root's label)

# Hosts that anybody can have a name under and that the Public Suffix List lacks (docs/origins.md, Hosts).
SHARED_HOSTS = frozenset(
    {
        "app.github.dev",
        "cdn.ampproject.org",
        "codesandbox.io",
        "gitpod.io",
        "glitch.me",
        "idm.oclc.org",
        "loca.lt",
        "mcas.ms",
        "stackblitz.io",
        "surge.sh",
        "turbopages.org",
    }
)

_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}\Z", re.ASCII)
_NOT_IN_A_HOST = re.compile(r"[\x00-\x20\x7f/\\?#@%*]")


class WebOrigin(NamedTuple):
    """The origin of a page on the web. Compared as a whole, two of them are the same origin (RFC 6454)."""

    scheme: str
    host: str  # ASCII, lower case, without the root's dot; an IPv6 address keeps its brackets
    port: int | None  # None is the scheme's own


def web_origin(url: str) -> WebOrigin | None:
    """The origin of a URL or of an `Origin` header, by the WHATWG URL standard.

    None where there is none: what can't be parsed, and schemes without hosts (file:, of apps, of extensions).
    """
    parsed = parsed_url(url)
    if parsed is None:
        return None
    scheme = parsed.protocol
    host = parsed.hostname.removesuffix(".")
    if scheme not in WEB_SCHEMES or not host:
        return None
    return WebOrigin(scheme[:-1], host, int(parsed.port) if parsed.port else None)


def parsed_url(url: str) -> can_ada.URL | None:
    try:
        return can_ada.parse(url)
    except ValueError:
        return None
    except TypeError:  # a lone surrogate; a browser's URL parser is given a USVString (WebIDL)
        return parsed_url(url.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))


def web_host(url: str | None) -> str | None:
    """The host alone of `web_origin`."""
    if not url:
        return None
    return _host_of_short(url) if len(url) <= SHORT else _host_of(url)


def _host_of(url: str) -> str | None:
    origin = web_origin(url)
    return origin.host if origin is not None else None


# headers and cut addresses come again and again; by their length the cache is bounded, at some 3 MB
_host_of_short = lru_cache(8192)(_host_of)


def origin_prefix(url: str) -> str:
    """`url` up to the slash that ends its host, for use as the key of a cache; see `prefix_decides`.

    Cheaper than parsing: no slash of `https://` lies at index 9 or later.
    """
    end = url.find("/", 9)
    return url if end < 0 else url[: end + 1]


def prefix_decides(prefix: str, url: str) -> bool:
    """Whether every URL that starts with this `origin_prefix` of `url` has the same `web_origin`.

    A prefix that parses holds the whole scheme and, on the web, a host that its last slash has ended. One
    that does not (`https:////` before `good.com`) may still be the beginning of a URL that does.
    """
    return prefix == url or parsed_url(prefix) is not None


@cache
def _suffix_list() -> "PublicSuffixList":
    # 10,000 rules take 60 ms to load: a worker without a wildcard pattern never pays
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - for the same reason

    return PublicSuffixList()


@cache
def _above_suffixes() -> frozenset[str]:
    """Every name that has a public suffix somewhere below it: `amazonaws.com` has `s3.amazonaws.com`."""
    from publicsuffixlist import PSLFILE  # noqa: PLC0415 - see _suffix_list

    lines = Path(PSLFILE).read_text(encoding="utf-8").splitlines()
    rules = [line.split()[0].lstrip("!") for line in lines if line.strip() and not line.startswith("//")]
    return frozenset(
        parent
        for name in (*rules, *SHARED_HOSTS)
        for parent in _parents(name if name.isascii() else name.encode("idna").decode())
    )


def _parents(host: str) -> Iterable[str]:
    while "." in host:
        host = host.partition(".")[2]
        yield host


def public_suffix(host: str) -> str:
    """The longest suffix of `host` under which anybody can have a name; a last label no list knows is one."""
    listed = _suffix_list().publicsuffix(host) or host
    shared = next((name for name in (host, *_parents(host)) if name in SHARED_HOSTS), "")
    return max(listed, shared, key=len)


def registrable_domain(host: str) -> str | None:
    """The public suffix and one label: what one party owns. None for addresses and for suffixes."""
    if is_address(host):
        return None
    suffix = public_suffix(host)
    if host == suffix:
        return None
    label = host[: -len(suffix) - 1].rpartition(".")[2]
    return f"{label}.{suffix}"


def is_address(host: str) -> bool:
    return host.startswith("[") or _IPV4.match(host) is not None


class HostPattern(NamedTuple):
    """`shop.example`: that host. `*.shop.example`: below it. `[*.]shop.example`: both, as Chrome has it."""

    host: str
    itself: bool
    below: bool


def parse_pattern(text: str) -> HostPattern:
    """Raises Poison, with the reason in words, for what is no pattern or would let strangers in."""
    if text.startswith("[*.]"):
        itself, below, name = True, True, text[4:]
    elif text.startswith("*."):
        itself, below, name = False, True, text[2:]
    else:
        itself, below, name = True, False, text
    origin = None if _is_more_than_a_host(name) else web_origin(f"https://{name}/")
    if origin is None or len(origin.host) > MAX_HOST:
        raise Poison(
            f"host pattern {text[:300]!r} can't be read",
            remedy="Write a host (shop.example), *. and a host for what lies below it, or [*.] and a host "
            "for both; no scheme, port or path, and no * anywhere else",
        )
    if below:
        _refuse_strangers(text, origin.host)
    return HostPattern(origin.host, itself, below)


def _is_more_than_a_host(name: str) -> bool:
    port = ":" in name and not (name.startswith("[") and name.endswith("]"))
    return port or _NOT_IN_A_HOST.search(name) is not None


def _refuse_strangers(text: str, host: str) -> None:
    """A `*` is for a domain that one party owns as a whole."""
    if is_address(host):
        raise Poison(f"host pattern {text!r} has a * before an address", remedy="Write the address alone")
    below = f"a.{host}"  # a rule like *.kobe.jp makes every name below kobe.jp a suffix
    if public_suffix(below) in {host, below} or host in _above_suffixes():
        raise Poison(
            f"host pattern {text!r} covers hosts of other people: anybody can have a name under {host}",
            remedy="Write the hosts that are yours, or a * before a domain that is yours",
        )


class HostPatterns:
    """Which hosts are the customer's own. `host in patterns` takes a host as `web_origin` gives it."""

    __slots__ = ("_below", "_exact", "refused")

    def __init__(self, texts: Iterable[str]) -> None:
        """`refused` holds those that can't be used, with the reason; the others stand without them."""
        self.refused: dict[str, str] = {}
        exact, below = set(), set()
        for text in texts:
            try:
                pattern = parse_pattern(text)
            except Poison as refusal:
                self.refused[text] = str(refusal)
                continue
            if pattern.itself:
                exact.add(pattern.host)
            if pattern.below:
                below.add(pattern.host)
        self._exact = frozenset(exact)
        self._below = frozenset(below)

    def __contains__(self, host: str) -> bool:
        if host in self._exact:
            return True
        if not self._below or len(host) > MAX_HOST:  # the bound keeps a hostile name from costing its square
            return False
        return any(parent in self._below for parent in _parents(host))


@lru_cache(maxsize=4096)
def host_patterns(texts: tuple[str, ...]) -> HostPatterns:
    """Compiled once for all who have the same list."""
    return HostPatterns(texts)
