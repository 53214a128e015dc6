"""Source expressions name the URLs that CSP Level 3 says, where Chromium agrees."""

import base64
import hashlib

import pytest

from workers.csp.sources import (
    allows_text,
    allows_url,
    hash_source,
    hashes,
    nonces,
    parse_url,
)
from workers.errors import Poison

CDN = "https://cdn.example.com/a/b.js"


@pytest.mark.parametrize(
    ("source", "url", "allowed"),
    [
        ("*", CDN, True),
        ("*", "http://any.example:81/", True),
        ("'none'", CDN, False),
        ("https:", CDN, True),
        ("HTTPS:", CDN, True),
        ("http:", CDN, True),  # upgraded
        ("https:", "http://cdn.example.com/", False),
        ("wss:", CDN, False),
        ("data:", CDN, False),
        ("cdn.example.com", CDN, True),
        ("CDN.example.COM", CDN, True),
        ("cdn.example.com", "http://cdn.example.com/", False),  # the page has https
        ("http://cdn.example.com", CDN, True),
        ("https://cdn.example.com", "http://cdn.example.com/", False),
        ("https://cdn.example.com", "https://cdn.example.com:8443/", False),
        ("https://cdn.example.com:*", "https://cdn.example.com:8443/", True),
        ("cdn.example.com:8443", "https://cdn.example.com:8443/", True),
        ("cdn.example.com:443", CDN, True),
        ("http://cdn.example.com:80", CDN, True),
        ("http://cdn.example.com:8443", "https://cdn.example.com:8443/", False),  # Chromium's reading
        ("http://cdn.example.com:81", CDN, False),
        ("cdn.example.com:80", CDN, False),
        ("*.example.com", CDN, True),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("*.example.com", "https://badexample.com/", False),
        ("example.com", CDN, False),
        ("*example.com", CDN, False),
        ("cdn.*.com", CDN, False),
        ("https://*", CDN, True),
        ("*:*", "https://cdn.example.com:8443/", True),
        ("//cdn.example.com", CDN, False),
        ("https:/cdn.example.com", CDN, False),
        ("cdn.example.com/", CDN, True),
        ("cdn.example.com/a/", CDN, True),
        ("cdn.example.com/a", CDN, False),
        ("cdn.example.com/a/b.js", CDN, True),
        ("cdn.example.com/a/b.js/", CDN, False),
        ("cdn.example.com/a/b", CDN, False),
        ("cdn.example.com/A/", CDN, False),
        ("cdn.example.com/%61/", CDN, True),
        ("cdn.example.com/a/*", CDN, False),
        ("cdn.example.com/a/b.js?x=1", CDN, True),
        ("cdn.example.com/a/b/", "https://cdn.example.com/a/b", False),
        ("'nonce-cdn.example.com'", CDN, False),
        ("'cdn.example.com'", CDN, False),
        ("", CDN, False),
    ],
)
def test_a_source_names_a_url(source: str, url: str, allowed: bool) -> None:
    page = parse_url("https://shop.example/")
    assert allows_url([source], parse_url(url), page) is allowed


@pytest.mark.parametrize(
    ("source", "allowed"),
    [
        ("cdn.example.com/x", True),
        ("cdn.example.com/a", True),
        ("other.example.com/a/", False),
        ("cdn.example.com:8443/a/", False),
    ],
)
def test_behind_a_redirect_the_path_does_not_count(source: str, allowed: bool) -> None:
    assert allows_url([source], parse_url(CDN), parse_url("https://a.example/"), redirected=True) is allowed


@pytest.mark.parametrize(
    ("page", "url", "allowed"),
    [
        ("https://shop.example/x", "https://shop.example/y", True),
        ("https://shop.example/", "https://www.shop.example/", False),
        ("https://shop.example/", "http://shop.example/", False),
        ("http://shop.example/", "https://shop.example/", True),
        ("http://shop.example:8080/", "https://shop.example/", False),
        ("http://shop.example:8080/", "http://shop.example:8080/", True),
        ("https://shop.example/", "https://shop.example:8443/", False),
    ],
)
def test_self_is_the_origin_of_the_page(page: str, url: str, allowed: bool) -> None:
    assert allows_url(["'SELF'"], parse_url(url), parse_url(page)) is allowed


def test_no_source_names_nothing() -> None:
    assert not allows_url([], parse_url(CDN), parse_url(CDN))


def test_nonces_keep_their_case_and_hashes_theirs() -> None:
    sources = [
        "'nonce-aBc='",
        "'NONCE-x'",
        "'nonce-'",
        "nonce-y",
        "'nonce-a b'",
        "'sha256-QQ=='",
        "'sha1-QQ=='",
    ]
    assert nonces(sources) == ["aBc=", "x"]
    assert hashes(sources) == ["'sha256-QQ=='"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "SHA256"])
def test_a_text_has_its_hash(algorithm: str) -> None:
    text = "analytics.load('ключ')"
    digest = base64.b64encode(hashlib.new(algorithm.lower(), text.encode()).digest()).decode()
    assert allows_text([f"'{algorithm}-{digest}'"], text)
    assert allows_text([f"'{algorithm}-{digest.replace('+', '-').replace('/', '_')}'"], text)
    assert not allows_text([f"'{algorithm}-{digest}'"], text + " ")
    assert not allows_text([f"{algorithm}-{digest}"], text)


def test_the_hash_that_is_advised_is_the_one_that_matches() -> None:
    # of the example in CSP Level 3, 8.2 ("alert('Hello, world.');")
    assert hash_source("alert('Hello, world.');") == "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"


@pytest.mark.parametrize("url", ["cdn.example.com", "ftp://a.example/", "https://", "data:x", "https://a b/"])
def test_what_is_no_url_of_the_web_is_refused(url: str) -> None:
    with pytest.raises(Poison, match="no URL"):
        parse_url(url)
