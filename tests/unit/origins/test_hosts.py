"""Hosts and patterns: each hole that well-known matchers had is a test (docs/origins.md, Hosts)."""

import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workers.errors import Poison
from workers.origins.hosts import (
    HostPatterns,
    WebOrigin,
    origin_prefix,
    parse_pattern,
    prefix_decides,
    public_suffix,
    registrable_domain,
    web_host,
    web_origin,
)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://good.com", "good.com"),
        ("https://GOOD.com/cart?x=1#y", "good.com"),
        ("https://good.com:x@evil.com/", "evil.com"),
        ("https://good.com@evil.com/", "evil.com"),
        ("https://good.com\\@evil.com/", "good.com"),  # a backslash ends the host, as in browsers
        ("https://good.com./", "good.com"),
        ("https://good.com../", "good.com."),  # one dot only: two name no host that we know
        ("https://[::1]:8080/", "[::1]"),
        ("https://[0:0::1]/", "[::1]"),
        ("http://0x7f.1/", "127.0.0.1"),
        ("https://faß.de/", "xn--fa-hia.de"),  # not fass.de: UTS-46 non-transitional
        ("https://fass.de/", "fass.de"),
        ("https://BÜCHER.example/", "xn--bcher-kva.example"),
        ("https://good%2ecom/", "good.com"),
        ("https:good.com", "good.com"),
        ("https:////good.com/x", "good.com"),
        ("ht\ntps://go\tod.com/", "good.com"),
        ("wss://good.com/socket", "good.com"),
        ("http://localhost:3000/", "localhost"),
        ("https://good.com/\ud83d", "good.com"),
    ],
)
def test_hosts_are_read_as_browsers_read_them(url: str, host: str) -> None:
    assert web_host(url) == host


@pytest.mark.parametrize(
    "url",
    [
        "null",
        "",
        "good.com",
        "//good.com/x",
        "https://",
        "https://./",
        "https://a b/",
        "https://[::1",
        "https://good.com:99999/",
        "file:///home/me/page.html",
        "file://server/share/page.html",
        "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai/index.html",
        "capacitor://localhost",
        "app://good.com/",
        "about:srcdoc",
        "blob:https://good.com/9115d58c",
        "data:text/html,<p>",
        "javascript:alert(1)",
        "https://\ud800.com/",
    ],
)
def test_what_has_no_web_host_has_no_origin(url: str) -> None:
    assert web_origin(url) is None
    assert web_host(url) is None


def test_default_ports_are_folded_and_others_kept() -> None:
    assert web_origin("https://good.com:443") == web_origin("https://good.com/")
    assert web_origin("http://good.com:80") == WebOrigin("http", "good.com", None)
    assert web_origin("https://good.com:8443/") == WebOrigin("https", "good.com", 8443)


@pytest.mark.parametrize(
    ("pattern", "own", "foreign"),
    [
        ("good.com", ["good.com"], ["www.good.com", "evilgood.com", "good.com.evil.com", "ood.com"]),
        ("*.good.com", ["www.good.com", "a.b.good.com"], ["good.com", "evilgood.com", "good.com.evil.com"]),
        ("[*.]good.com", ["good.com", "www.good.com"], ["evilgood.com", "xgood.com", "good.com.evil.com"]),
        ("www.good.com", ["www.good.com"], ["good.com", "wwwgood.com"]),  # www. is a label like any other
        ("Good.COM.", ["good.com"], []),
        ("faß.de", ["xn--fa-hia.de"], ["fass.de"]),
        ("[*.]bücher.example", ["www.xn--bcher-kva.example"], ["www.bucher.example"]),
        ("[::1]", ["[::1]"], ["[::2]"]),
        ("127.0.0.1", ["127.0.0.1"], ["27.0.0.1"]),
        ("localhost", ["localhost"], ["localhost.evil.com"]),
        ("shop.github.io", ["shop.github.io"], ["evil.github.io", "github.io"]),
        ("*.shop.github.io", ["a.shop.github.io"], ["shop.github.io", "evil.github.io"]),
    ],
)
def test_patterns_match_their_own_hosts_only(pattern: str, own: list[str], foreign: list[str]) -> None:
    patterns = HostPatterns([pattern])
    assert not patterns.refused
    assert [host for host in own if host not in patterns] == []
    assert [host for host in foreign if host in patterns] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "*",
        "*.",
        "[*.]",
        "*good.com",
        "good.*",
        "www.*.com",
        "*.*.good.com",
        "a*.good.com",
        "https://good.com",
        "good.com/",
        "good.com/cart",
        "good.com:443",
        "user@good.com",
        "good.com ",
        "good.com\n",
        "good%2ecom",
        "good.com?x",
        "[::1]:80",
        "[::1",
        "a" * 64 + "." + "b" * 200 + ".com",
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(Poison, match="can't be read"):
        parse_pattern(pattern)
    assert list(HostPatterns([pattern]).refused) == [pattern]


@pytest.mark.parametrize(
    "suffix",
    [
        "com",
        "co.uk",
        "github.io",  # of the private section
        "s3.amazonaws.com",
        "amazonaws.com",  # lies above public suffixes
        "kobe.jp",  # *.kobe.jp makes each name below one
        "x.kobe.jp",
        "公司.cn",
        "surge.sh",  # and those of the supplement from here
        "glitch.me",
        "gitpod.io",
        "app.github.dev",
        "codesandbox.io",
        "stackblitz.io",
        "loca.lt",
        "cdn.ampproject.org",
        "turbopages.org",
        "mcas.ms",
        "idm.oclc.org",
        "ampproject.org",
        "localhost",
        "unheard-of-tld",
    ],
)
@pytest.mark.parametrize("star", ["*.", "[*.]"])
def test_a_star_over_a_public_suffix_is_refused(star: str, suffix: str) -> None:
    with pytest.raises(Poison, match="other people"):
        parse_pattern(star + suffix)
    parse_pattern(suffix)  # the name alone lets nobody else in


@pytest.mark.parametrize("address", ["*.127.0.0.1", "*.0.1", "[*.]10.1.2.3", "*.[::1]"])
def test_a_star_before_an_address_is_refused(address: str) -> None:
    with pytest.raises(Poison):
        parse_pattern(address)


def test_refused_patterns_leave_the_others_standing() -> None:
    patterns = HostPatterns(["good.com", "*.co.uk", "nonsense/", "*.shop.example"])
    assert set(patterns.refused) == {"*.co.uk", "nonsense/"}
    assert "other people" in patterns.refused["*.co.uk"]
    assert "good.com" in patterns
    assert "a.shop.example" in patterns
    assert "evil.co.uk" not in patterns


@pytest.mark.parametrize(
    ("host", "suffix", "domain"),
    [
        ("www.good.com", "com", "good.com"),
        ("a.b.shop.co.uk", "co.uk", "shop.co.uk"),
        ("me.github.io", "github.io", "me.github.io"),
        ("a.me.github.io", "github.io", "me.github.io"),
        ("copy.surge.sh", "surge.sh", "copy.surge.sh"),
        ("a-b.cdn.ampproject.org", "cdn.ampproject.org", "a-b.cdn.ampproject.org"),
        ("com", "com", None),
        ("github.io", "github.io", None),
        ("localhost", "localhost", None),
    ],
)
def test_registrable_domains(host: str, suffix: str, domain: str | None) -> None:
    assert public_suffix(host) == suffix
    assert registrable_domain(host) == domain


def test_addresses_have_no_registrable_domain() -> None:
    assert registrable_domain("127.0.0.1") is None
    assert registrable_domain("[::1]") is None


@settings(deadline=None)
@given(
    st.one_of(
        st.text(alphabet=":/\\?#@. \t\nabhtps[]%1", max_size=24),
        st.builds(
            "{}{}{}{}".format,
            st.sampled_from(["", " ", "\t\t", "\x00"]),
            st.sampled_from(["https:", "http:", "file:", "blob:https:", "app:", "WSS:"]),
            st.sampled_from(["", "/", "//", "///", "////", "\\\\", "//u:p@", "//good.com@"]),
            st.text(alphabet="abc./\\?#@: \t[]%2é", max_size=20),
        ),
    )
)
@example("https://good.com /x")
@example("https:////good.com/x")
@example("blob:https://good.com/x")
@example("  https://good.com/x")
@example("https:/\\//good.com/x")
def test_a_prefix_that_decides_tells_the_same_origin(url: str) -> None:
    prefix = origin_prefix(url)
    if prefix_decides(prefix, url):
        assert web_origin(prefix) == web_origin(url)


def test_a_prefix_is_the_same_for_all_pages_of_a_site() -> None:
    pages = [f"https://www.good.com/p/{number}?q=a/b#c/d" for number in range(9)]
    assert {origin_prefix(page) for page in pages} == {"https://www.good.com/"}
    assert all(prefix_decides(origin_prefix(page), page) for page in pages)


def test_a_hostile_name_costs_no_more_than_its_length() -> None:
    patterns = HostPatterns(["*.good.com"])
    hostile = "a." * 500_000 + "good.com"
    began = time.perf_counter()
    assert hostile not in patterns
    assert time.perf_counter() - began < 0.1


def test_the_suffix_list_is_not_loaded_before_a_star_is_seen() -> None:
    code = (
        "import sys; from workers.origins.hosts import HostPatterns;"
        "HostPatterns(['good.com']); assert 'publicsuffixlist' not in sys.modules;"
        "HostPatterns(['*.good.com']); assert 'publicsuffixlist' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
