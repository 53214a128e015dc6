"""Pages with their policies, on which our verdict and Chromium's must be the same."""

from typing import NamedTuple

from workers.csp.needs import CDN, COLLECTORS
from workers.csp.sources import hash_source

PAGE = "https://shop.example/"
# loads nothing by itself: what a snippet does is done step by step, so that one thing blocked hides no other
SNIPPET = 'window.ran = true; /* analytics.load("k") */'
HASH = hash_source(SNIPPET)
OTHER_HASH = hash_source("something else")
SEGMENT = "https://cdn.segment.com https://api.segment.io"
ALL = f"'unsafe-inline' {SEGMENT}"
META = "content-security-policy"
STRICT = "connect-src 'self'"
BUNDLES = "https://cdn.segment.com/analytics-next/bundles"


class Case(NamedTuple):
    """`headers` and `reported` are values of the two headers, `meta` of elements."""

    name: str
    headers: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()
    meta: tuple[str, ...] = ()
    nonce: str | None = None
    page: str = PAGE
    cdn: str = CDN
    collector: str = COLLECTORS
    redirects: tuple[tuple[str, str], ...] = ()
    meta_behind: bool = False  # the meta elements stand behind the snippet
    html: str = ""  # stands before all that


def one(name: str, policy: str, **rest: object) -> Case:
    return Case(name, (policy,), **rest)  # type: ignore[arg-type] # the fields' own types


RELAY = {"cdn": "relay.example", "collector": "relay.example"}
ONWARD = (("relay.example", "far.example"),)
SHOP = {"cdn": "shop.example", "collector": "shop.example"}
PLAIN = {"page": "http://shop.example/", "cdn": "http://cdn.example", "collector": "http://api.example"}
OWN_PORT = {"cdn": "https://cdn.example:8443", "collector": "https://api.example:8443"}

CASES = [
    Case("no policy"),
    one("nothing allowed", "default-src 'none'"),
    one("all that is needed", f"default-src 'none'; script-src {ALL}; connect-src {SEGMENT}"),
    one("images only", "img-src 'self'"),
    one("empty policy", " ; ,; "),
    one("a star", "default-src *"),
    one("a star and inline", "default-src * 'unsafe-inline'"),
    # fallback
    one("default-src for all", f"default-src {ALL}"),
    one("script-src before default-src", f"default-src {ALL}; script-src 'self'"),
    one("script-src-elem before script-src", f"script-src 'none'; script-src-elem {ALL}"),
    one("script-src-elem takes away", f"script-src {ALL}; script-src-elem 'self'"),
    one("script-src-attr is for attributes", f"script-src {ALL}; script-src-attr 'none'"),
    one("connect-src alone", "connect-src https://api.segment.io"),
    one("connect-src without values", "connect-src"),
    one("connect-src before default-src", f"default-src {ALL}; connect-src 'self'"),
    one("worker-src is no fallback", f"worker-src 'none'; child-src 'none'; script-src {ALL}"),
    # parsing
    one("names in capitals", f"DEFAULT-SRC 'NONE'; Script-Src {ALL.upper()}"),
    one("the second of a name", f"script-src {ALL}; script-src 'none'; connect-src 'none'; CONNECT-SRC *"),
    one("unknown directives", f"script-scr 'none'; script-src {ALL}; prefetch 'none'"),
    one("'none' beside others", f"script-src 'none' {ALL}; connect-src {SEGMENT} 'NoNe'"),
    one("none without quotes", "default-src none"),
    one("commas are policies", f"script-src {ALL}, connect-src 'none'"),
    one("a comma by mistake", "connect-src https://cdn.segment.com, https://api.segment.io"),
    one("tabs and spaces", f"\tdefault-src\t {ALL} \t;; ;"),
    one("beyond ASCII", "script-src 'none' \u00e9; connect-src 'none'"),
    one("quotes forgotten", "script-src unsafe-inline self https://cdn.segment.com"),
    # hosts, schemes, ports
    one(
        "host without scheme", f"default-src 'unsafe-inline' cdn.segment.com; connect-src {COLLECTORS} {CDN}"
    ),
    one("hosts in capitals", "default-src 'unsafe-inline' CDN.Segment.COM API.segment.IO"),
    one("wildcard of subdomains", "default-src 'unsafe-inline' https://*.segment.com *.segment.io"),
    one(
        "wildcard and the bare domain",
        "default-src 'unsafe-inline' *.example.com",
        cdn="example.com",
        collector="a.b.example.com",
    ),
    one("wildcard inside a name", "default-src 'unsafe-inline' https://cdn.*.com https://*segment.io"),
    one(
        "a longer name",
        "default-src 'unsafe-inline' segment.com io notcdn.segment.com cdn.segment.com.example",
    ),
    one("scheme only", "default-src https: 'unsafe-inline'"),
    one("scheme http", "default-src http: 'unsafe-inline'"),
    one("scheme wss", "default-src wss: ws: data: blob: 'unsafe-inline'"),
    one("scheme in capitals", "default-src HTTPS: 'unsafe-inline'"),
    one("host of http", "default-src 'unsafe-inline' http://cdn.segment.com http://api.segment.io"),
    one(
        "port 80 of http", "default-src 'unsafe-inline' http://cdn.segment.com:80 http://api.segment.io:8080"
    ),
    one("port 443", "default-src 'unsafe-inline' cdn.segment.com:443 https://api.segment.io:444"),
    one(
        "any port",
        "default-src 'unsafe-inline' cdn.segment.com:* https://*:*",
        collector="api.segment.io:8443",
    ),
    one("port 80 without scheme", "default-src 'unsafe-inline' cdn.segment.com:80 api.segment.io:80"),
    one("own port", "default-src 'unsafe-inline' https://cdn.example:8443 https://api.example", **OWN_PORT),
    one(
        "own port of http",
        "default-src 'unsafe-inline' http://cdn.example:8443 http://api.example",
        **OWN_PORT,
    ),
    one("own port of a scheme", "default-src 'unsafe-inline' https:", **OWN_PORT),
    one("all hosts of https", "default-src 'unsafe-inline' https://*"),
    one("a root's dot", "default-src 'unsafe-inline' https://cdn.segment.com. api.segment.io."),
    one(
        "underscore",
        "default-src 'unsafe-inline' my_cdn.example *.my_api.example",
        cdn="my_cdn.example",
        collector="a.my_api.example",
    ),
    one(
        "an address",
        "default-src 'unsafe-inline' 127.0.0.1 https://127.0.0.2",
        cdn="127.0.0.1",
        collector="127.0.0.3",
    ),
    one("two slashes", "default-src 'unsafe-inline' //cdn.segment.com //api.segment.io"),
    one("host and colon", "default-src 'unsafe-inline' cdn.segment.com: https:api.segment.io"),
    # paths
    one(
        "a folder",
        "script-src 'unsafe-inline' https://cdn.segment.com/analytics.js/ cdn.segment.com/analytics-next/",
    ),
    one(
        "a folder without its slash",
        f"script-src 'unsafe-inline' {BUNDLES}; connect-src https://api.segment.io/v1",
    ),
    one(
        "Segment's own star",
        f"script-src 'unsafe-inline' {BUNDLES}/*; connect-src https://api.segment.io/v1/*",
    ),
    one("one file", f"script-src 'unsafe-inline' {BUNDLES}/part.js; connect-src api.segment.io/v1/t"),
    one(
        "paths in capitals",
        f"script-src 'unsafe-inline' {BUNDLES.upper()}/PART.JS; connect-src api.segment.io/V1/",
    ),
    one(
        "paths with escapes",
        f"script-src 'unsafe-inline' {BUNDLES}/p%61rt.js; connect-src api.segment.io/%76%31/",
    ),
    one("a slash alone", "connect-src https://api.segment.io/ https://cdn.segment.com/"),
    one(
        "a path and a query",
        f"script-src 'unsafe-inline' {BUNDLES}/part.js?x=1; connect-src api.segment.io/v1/?y",
    ),
    one("two slashes in a path", "connect-src https://api.segment.io//v1/ https://cdn.segment.com/v1//"),
    # redirects
    one(
        "a redirect within",
        "default-src 'unsafe-inline' relay.example far.example",
        redirects=ONWARD,
        **RELAY,
    ),
    one("a redirect out", "default-src 'unsafe-inline' relay.example", redirects=ONWARD, **RELAY),
    one(
        "paths behind redirects",
        "default-src 'unsafe-inline' relay.example far.example/x",
        redirects=ONWARD,
        **RELAY,
    ),
    one(
        "paths before redirects",
        "default-src 'unsafe-inline' relay.example/x far.example",
        redirects=ONWARD,
        **RELAY,
    ),
    # self
    one("self is the page", "default-src 'self' 'unsafe-inline'", **SHOP),
    one("self is nobody else", "default-src 'SELF' 'unsafe-inline'", cdn="www.shop.example"),
    one(
        "self and another port",
        "default-src 'self' 'unsafe-inline'",
        cdn="shop.example:8443",
        collector="shop.example",
    ),
    one(
        "self of http goes up to https",
        "default-src 'self' 'unsafe-inline'",
        page="http://shop.example/",
        **SHOP,
    ),
    one(
        "self of http on another port",
        "default-src 'self' 'unsafe-inline'",
        page="http://shop.example:8080/",
        cdn="https://shop.example",
        collector="http://shop.example:8080",
    ),
    # a page without TLS
    one(
        "bare hosts on a page of http",
        "default-src 'unsafe-inline' cdn.example api.segment.io",
        page="http://shop.example/",
        cdn="http://cdn.example",
    ),
    one(
        "https on a page of http",
        "default-src 'unsafe-inline' https://cdn.example https://api.example",
        **PLAIN,
    ),
    one("upgraded requests", "default-src 'unsafe-inline' https:; upgrade-insecure-requests", **PLAIN),
    one(
        "upgraded requests, scheme http",
        "default-src 'unsafe-inline' cdn.example:80 http:; upgrade-insecure-requests",
        **PLAIN,
    ),
    # inline: nonces and hashes
    one("nonce", f"script-src 'nonce-abc' {SEGMENT}", nonce="abc"),
    one("nonce in another case", f"script-src 'NONCE-abc' 'nonce-ABD' {SEGMENT}", nonce="abd"),
    one("keyword of a nonce in capitals", f"script-src 'NONCE-abc' {SEGMENT}", nonce="abc"),
    one("nonce that is not in the tag", f"script-src 'nonce-abc' {SEGMENT}"),
    one("a nonce is for no script it inserts", "script-src 'nonce-abc'", nonce="abc"),
    one("a nonce disables unsafe-inline", f"script-src 'unsafe-inline' 'nonce-abc' {SEGMENT}"),
    one("a hash", f"script-src {HASH} {SEGMENT}"),
    one("a hash in letters of URLs", f"script-src {HASH.replace('+', '-').replace('/', '_')} {SEGMENT}"),
    one("another's hash disables unsafe-inline", f"script-src 'unsafe-inline' {OTHER_HASH} {SEGMENT}"),
    one("a hash in capitals is no hash", f"script-src 'unsafe-inline' {HASH.upper()} {SEGMENT}"),
    one("unsafe-hashes is for attributes", f"script-src 'unsafe-hashes' {SEGMENT}"),
    one("a nonce of wrong letters is none", f"script-src 'unsafe-inline' 'nonce-a!b' {SEGMENT}"),
    # strict-dynamic
    one("strict-dynamic", "script-src 'nonce-abc' 'strict-dynamic'", nonce="abc"),
    one("strict-dynamic and 'none'", "script-src 'strict-dynamic' 'none'"),
    one("strict-dynamic without a nonce", f"script-src 'strict-dynamic' {ALL}"),
    one("strict-dynamic and a hash", f"script-src 'Strict-Dynamic' 'unsafe-inline' https: {HASH}"),
    one(
        "strict-dynamic of default-src",
        "default-src 'strict-dynamic' 'nonce-abc'; connect-src 'none'",
        nonce="abc",
    ),
    one(
        "strict-dynamic says nothing of connections", "default-src 'strict-dynamic' 'nonce-abc'", nonce="abc"
    ),
    # several policies
    Case("two headers", (f"script-src {ALL}", "connect-src https://api.segment.io")),
    Case("a header and a meta element", ("script-src 'unsafe-inline' https:",), meta=("connect-src 'none'",)),
    Case(
        "a meta element alone", meta=("default-src 'self'; sandbox; report-uri /r; frame-ancestors 'none'",)
    ),
    Case("a comma in a meta element", meta=(f"script-src {ALL}, connect-src 'none'",)),
    Case(
        "a meta element behind the snippet", meta=("script-src 'none'; connect-src 'none'",), meta_behind=True
    ),
    Case(
        "a meta element of a page without a head tag",
        html=f"<META CONTENT='{STRICT}' HTTP-EQUIV={META.upper()}>",
    ),
    Case(
        "a meta element with escapes",
        html=f'<meta http-equiv={META} content="connect-src&#32;&apos;none&apos;">',
    ),
    Case("a meta element behind the head", html=f'</head><meta http-equiv={META} content="{STRICT}">'),
    Case("a meta element in the body", html=f'<p>shop</p><meta http-equiv={META} content="{STRICT}">'),
    Case(
        "a meta element behind text",
        html=f'<script src=/x></script>shop<meta http-equiv={META} content="{STRICT}">',
    ),
    Case(
        "a meta element for no scripts",
        html=f'<noscript><meta http-equiv={META} content="{STRICT}"></noscript>',
    ),
    Case(
        "a meta element of a template",
        html=f'<template><meta http-equiv={META} content="{STRICT}"></template>',
    ),
    Case("a meta element in a comment", html=f'<!-- <meta http-equiv={META} content="{STRICT}"> -->'),
    Case("a meta element that reports", html=f'<meta http-equiv={META}-report-only content="{STRICT}">'),
    Case("a meta element without a policy", html=f"<meta http-equiv={META}>"),
    # report-only
    Case("report-only", reported=("default-src 'none'",)),
    Case(
        "report-only beside one that is enforced",
        (f"script-src {ALL}",),
        ("script-src 'self'; connect-src *",),
    ),
    Case(
        "enforced beside report-only", ("connect-src 'none'",), (f"script-src {ALL}; connect-src {SEGMENT}",)
    ),
    Case(
        "report-only strict-dynamic",
        reported=("script-src 'strict-dynamic' 'nonce-abc'; sandbox",),
        nonce="abc",
    ),
    # others
    one("trusted types", f"script-src {ALL}; require-trusted-types-for 'script'"),
    Case("trusted types, report-only", reported=("require-trusted-types-for 'script'",)),
    one("sandbox", "sandbox allow-same-origin"),
    one("sandbox with scripts", f"sandbox allow-scripts; script-src {ALL}"),
]
