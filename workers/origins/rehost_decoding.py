"""How harmless re-hosts write the real host into their own addresses: the ways that rehost_families.py names.

A way takes an `Address` and gives the real page's URL or host as text, or None where the address holds none.
None of them looks for "a URL somewhere in it": each reads one place, so that a forged path can't move it.
"""

import re
from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs, unquote


class Address(NamedTuple):
    """A URL of a family, taken apart."""

    below: str  # the labels before the family's own host: `www-good-com`; empty on that host itself
    path: str  # percent-encoded, as the URL has it
    query: str  # with its `?`, or empty

    @property
    def rest(self) -> str:
        return self.path + self.query

    def parameter(self, name: str) -> str | None:
        """None also where it is there twice: who knows which one the re-host reads."""
        values = parse_qs(self.query[1:]).get(name, [])
        return values[0] if len(values) == 1 else None


Way = Callable[[Address], str | None]

_PUNYCODE = "xn--"
_CACHED_PAGE = re.compile(r"/[a-z]{1,2}/(?:s/)?([^/?]+)")  # /c/s/HOST/PATH, c for documents, v for viewers
_GOOGLE_CACHED = re.compile(r"cache:(?:[\w-]{12}:)?([^ +]+)")  # cache:ID:URL and the words that were searched
_HASHED = re.compile(r"[a-z2-7]{52}\Z")  # SHA-256 in Base32
_URLDEFENSE_3 = re.compile(r"/v3/__(.+?)__;")


def prefixed(address: Address) -> str | None:
    """`www.good.com.proxy.example`."""
    return address.below or None


def dashed(address: Address) -> str | None:
    """`www-good-com.proxy.example`: a dot is a dash, a dash two."""
    return undashed(address.below) if address.below and "." not in address.below else None


def undashed(label: str) -> str:
    return re.sub(r"\b-\b", ".", label).replace("--", "-")


def translate_goog(address: Address) -> str | None:
    """Google's eight steps: _x_tr_hp is what was cut off a host, _x_tr_enc says what was put before it."""
    if not address.below or "." in address.below:
        return None
    label = (address.parameter("_x_tr_hp") or "") + address.below
    encodings = (address.parameter("_x_tr_enc") or "").split(",")
    if "1" in encodings:
        label = label.removeprefix("1-")
    idn = "0" in encodings and label.startswith("0-")
    return (_PUNYCODE if idn else "") + undashed(label.removeprefix("0-") if idn else label)


def amp_cached(address: Address) -> str | None:
    """`www-good-com.cache.example`, by the AMP caches' algorithm; on the cache's own host the path says it.

    A host that has no such label is called by the SHA-256 of its name: the path's is it, if it has that hash.
    """
    label = address.below.removesuffix(".www")
    named = _CACHED_PAGE.match(address.path)
    host = named[1] if named else None
    if label in {"", "www"}:
        return host
    if "." in label:
        return None
    if _HASHED.match(label):
        return host if host is not None and label == amp_hash(host) else None
    if label.startswith(_PUNYCODE):
        try:
            label = label.removeprefix(_PUNYCODE).encode().decode("punycode")
        except UnicodeError:
            return None
    if label.startswith("0-") and label.endswith("-0"):
        label = label[2:-2]
    return undashed(label)


def amp_hash(host: str) -> str:
    """What an AMP cache calls a host that its other algorithm has no label for."""
    return b32encode(sha256(host.encode()).digest()).decode().rstrip("=").lower()


def parameter(name: str) -> Way:
    """`/frame?u=https://www.good.com/`: that parameter."""
    return lambda address: address.parameter(name)


def behind(prefix: str) -> Way:
    """`/web/2020/https://www.good.com/`: all behind what this pattern matches at the path's start."""
    pattern = re.compile(prefix)

    def read(address: Address) -> str | None:
        found = pattern.match(address.path)
        return unquoted(address.rest[found.end() :]) if found else None

    return read


def unquoted(text: str) -> str:
    """A URL that stands in another one as text, or percent-encoded as one part of it."""
    return unquote(text) if re.match(r"https?%3a", text, re.IGNORECASE) else text


def google_cached(address: Address) -> str | None:
    """`?q=cache:ID:www.good.com/p+words`."""
    found = _GOOGLE_CACHED.match(address.parameter("q") or "")
    return found[1] if found else None


def bing_cached(address: Address) -> str | None:
    """The page that was searched for by its own address; other searches do not tell which page it is."""
    words = (address.parameter("q") or "").removeprefix("url:")
    return words if re.match(r"https?://\S+\Z", words) else None


def url_defense(address: Address) -> str | None:
    """Proofpoint's three versions: `?u=` quoted, `?u=` quoted with - and _ for % and /, `/v3/__URL__;`."""
    if address.path == "/v1/url":
        return address.parameter("u")
    if address.path == "/v2/url":
        return unquote((address.parameter("u") or "").translate(str.maketrans("-_", "%/"))) or None
    found = _URLDEFENSE_3.match(address.path)
    return found[1] if found else None


def ezproxy(address: Address) -> str | None:
    """`www.good.com.library` or `www-good-com.library`; in front a port, `p180-`."""
    host, _, library = address.below.rpartition(".")
    if not host or not library:
        return None
    host = re.sub(r"\Ap\d{1,5}-", "", host)
    return host if "." in host else undashed(host)
