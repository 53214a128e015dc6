"""Reads whose page a re-host shows: translators, AMP caches, search engines' caches, archives, proxies.

Most foreign hosts that send events are such. One is harmless only if the host that its address holds is the
customer's own; so it is decoded, never listed as allowed (docs/origins.md, Re-hosts). The table is in
rehost_families.py.
"""

import re
from typing import NamedTuple

from workers.origins.hosts import parsed_url, web_host
from workers.origins.rehost_decoding import Address
from workers.origins.rehost_families import FAMILIES, Family

_EXACT: dict[str, list[Family]] = {}
_BELOW: dict[str, list[Family]] = {}
for _family in FAMILIES:
    for _host in _family.hosts:
        _table = _BELOW if _host.startswith("*.") else _EXACT
        _table.setdefault(_host.removeprefix("*."), []).append(_family)

_ENDS = frozenset(
    host[host.rfind(".", 0, host.rfind(".")) + 1 :] for host in (*_EXACT, *_BELOW)
)  # two labels
_LONGEST = max(host.count(".") for host in _BELOW) + 1  # labels of the longest name with families below it


class Original(NamedTuple):
    """The host whose page it is, and the family that the re-host is of."""

    host: str  # as hosts.web_host gives it
    family: str


def of_family(host: str) -> bool:
    """Whether a host, as hosts.web_host gives it, is one of a family: its addresses may hold another host."""
    if (
        host[host.rfind(".", 0, host.rfind(".")) + 1 :] not in _ENDS
    ):  # nearly always: this is on the way of records
        return False
    return host in _EXACT or _place_below(host) is not None


def prefix_decides_original(prefix: str, url: str) -> bool:
    """Whether every URL with this hosts.origin_prefix of `url` has the same host, and the same `original`."""
    if prefix == url:
        return True
    parsed = parsed_url(prefix)
    return parsed is not None and not of_family(parsed.hostname.removesuffix("."))


def original(url: str) -> Original | None:
    """Whose page a URL of a re-host shows. None: of no family, or it does not say."""
    host = web_host(url)
    if host is None or not of_family(host):
        return None
    parsed = parsed_url(url)
    assert parsed is not None  # noqa: S101  # it has a host
    suffix = _place_below(host)
    if host in _EXACT or suffix is None:
        return _first(_EXACT[host], Address("", parsed.pathname, parsed.search))
    return _first(_BELOW[suffix], Address(host[: -len(suffix) - 1], parsed.pathname, parsed.search))


def _place_below(host: str) -> str | None:
    """The name with families that a host lies below."""
    labels = host.split(".")
    for length in range(2, min(_LONGEST, len(labels) - 1) + 1):
        suffix = ".".join(labels[-length:])
        if suffix in _BELOW:
            return suffix
    return None


def _first(families: list[Family], address: Address) -> Original | None:
    for family in families:
        text = family.decode(address)
        host = _host_of(text) if text else None
        if host is not None:
            return Original(host, family.name)
    return None


def _host_of(text: str) -> str | None:
    """The host of a URL, or of what is left of one without its scheme."""
    return web_host(text if re.match(r"https?:", text, re.IGNORECASE) else f"https://{text.lstrip('/')}")
