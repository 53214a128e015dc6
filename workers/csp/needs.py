"""What the analytics snippet needs of a page's policy: one inline script, scripts of a CDN, and connections.

From @segment/analytics-next 1.84.3 and @segment/snippet 5.2.1: docs/csp.md says what was read where.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from workers.csp.sources import Url, hash_source, parse_url
from workers.errors import Poison

CDN = "cdn.segment.com"
COLLECTORS = "api.segment.io"
SAMPLE_KEY = "WRITE_KEY"  # stands in paths where the page's own write key does
# t(rack), i(dentify), p(age), g(roup), a(lias), s(creen), b(atch) and m(etrics)
CALLS = "tipgasbm"


class Kind(StrEnum):
    INLINE = "inline script"
    SCRIPT = "script"
    CONNECT = "connection"


class Need(NamedTuple):
    """One thing that the snippet does. Each URL is a chain: itself, and where it is redirected to."""

    name: str
    kind: Kind
    urls: tuple[tuple[Url, ...], ...] = ()


class Snippet(NamedTuple):
    """What is known of the page's inline script: its text, and the nonce of its tag if the tag is known."""

    text: str | None = None
    tag_known: bool = False
    nonce: str | None = None


def needs(
    cdn: str = CDN,
    collectors: Sequence[str] = (COLLECTORS,),
    *,
    redirects: Mapping[str, str] | None = None,
    key: str = SAMPLE_KEY,
) -> list[Need]:
    """All that the snippet does, in the order it does it. Hosts may be URLs, with a port and a path."""
    onward = {base_url(source): base_url(target) for source, target in (redirects or {}).items()}

    def urls(base: str, *paths: str) -> tuple[tuple[Url, ...], ...]:
        root = base_url(base)
        return tuple(_chain(root, path, onward) for path in paths)

    return [
        Need("the inline snippet", Kind.INLINE),
        Need("analytics.min.js", Kind.SCRIPT, urls(cdn, f"/analytics.js/v1/{key}/analytics.min.js")),
        Need("the SDK's parts", Kind.SCRIPT, urls(cdn, "/analytics-next/bundles/part.js")),
        Need(
            "destinations in the page", Kind.SCRIPT, urls(cdn, "/next-integrations/integrations/one/part.js")
        ),
        Need("its settings", Kind.CONNECT, urls(cdn, f"/v1/projects/{key}/settings")),
        *(
            Need(
                f"calls to {base_url(each).split('://', 1)[1]}",
                Kind.CONNECT,
                urls(each, *(f"/v1/{c}" for c in CALLS)),
            )
            for each in collectors
        ),
    ]


def origins(wanted: Sequence[Need], kind: Kind) -> list[str]:
    """The sources that allow all needs of a kind, in order, each once."""
    found = [hop.origin for need in wanted if need.kind is kind for chain in need.urls for hop in chain]
    return list(dict.fromkeys(found))


def sources(wanted: Sequence[Need], snippet: Snippet) -> dict[str, list[str]]:
    """What a policy must have, by directive. The hash only where the snippet's text is known."""
    inline = [] if snippet.text is None else [hash_source(snippet.text)]
    return {
        "script-src": origins(wanted, Kind.SCRIPT) + inline,
        "connect-src": origins(wanted, Kind.CONNECT),
    }


def upgraded(wanted: Sequence[Need]) -> list[Need]:
    """The needs under `upgrade-insecure-requests`: every request goes out as https.

    Chromium asks about a connection before it is upgraded as well, so both must be allowed.
    """
    found = []
    for need in wanted:
        safe = tuple(tuple(_upgraded(hop) for hop in chain) for chain in need.urls)
        both = tuple(dict.fromkeys(need.urls + safe)) if need.kind is Kind.CONNECT else safe
        found.append(need._replace(urls=both))
    return found


def base_url(host: str) -> str:
    """`https://host` of a host; a URL without its last slashes. Raises Poison for what is neither."""
    written = host if "://" in host else f"https://{host}"
    url = parse_url(written)
    if "?" in host or "#" in host:
        raise Poison(f"{host!r} has a query or a fragment", remedy="Write the host, and a path at most")
    return url.origin + url.path.rstrip("/")


def _chain(root: str, path: str, onward: Mapping[str, str]) -> tuple[Url, ...]:
    chain, seen = [parse_url(root + path)], {root}
    while (root := onward.get(root, "")) and root not in seen:
        seen.add(root)
        chain.append(parse_url(root + path))
    return tuple(chain)


def _upgraded(url: Url) -> Url:
    return (
        url._replace(scheme="https", port=443 if url.port == 80 else url.port)
        if url.scheme == "http"
        else url
    )
