"""Re-hosts: harmless if the host that their address holds is the customer's, and only then."""

from collections.abc import Iterator

import can_ada
import pytest

from workers.origins.hosts import origin_prefix, web_host
from workers.origins.rehost_decoding import amp_hash
from workers.origins.rehost_families import FAMILIES, Family
from workers.origins.rehosts import of_family, original, prefix_decides_original

EACH = pytest.mark.parametrize("family", FAMILIES, ids=[family.name for family in FAMILIES])


def test_there_are_many_and_each_has_its_name() -> None:
    assert len(FAMILIES) >= 40
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
    assert all(family.source for family in FAMILIES)


@EACH
def test_a_page_of_the_customers_is_read_out_of_its_address(family: Family) -> None:
    assert original(family.example) == ("www.good.com", family.name)
    assert of_family(web_host(family.example) or "")


@EACH
def test_a_copy_in_the_same_place_is_the_copys(family: Family) -> None:
    """Whoever has a copy translated, cached or archived gets an address that holds the copy's host."""
    for evil in ("copy.example", "www.good.com.evil.example", "www.good.com@evil.example"):
        if "@" in evil and family.example.count("www.good.com") == 0:
            continue  # a label holds no @
        address = family.example.replace("www.good.com", evil).replace("www-good-com", evil.replace(".", "-"))
        found = original(address)
        assert found is None or found.host != "www.good.com", address


def forged(example: str) -> Iterator[str]:
    """Addresses of another host that resemble the family's: everything that a page there can choose."""
    parsed = can_ada.parse(example)
    host, rest = parsed.hostname, parsed.pathname + parsed.search
    yield f"https://{host}.evil.example{rest}"
    yield f"https://evil.example/{host}{rest}"
    yield f"https://{host}@evil.example{rest}"
    yield f"https://{host}:x@evil.example{rest}"
    yield f"https://evil.example\\@{host}{rest}"
    yield f"https://evil.example?{host}{rest}"
    yield f"https://evil.example#{host}{rest}"
    yield f"https://{host.replace('.', '-')}.example{rest}"
    yield f"https://{host.rpartition('.')[0]}.example{rest}"


@EACH
def test_what_resembles_the_family_is_foreign(family: Family) -> None:
    page = can_ada.parse(family.example)
    ends_like_it = [  # the family's name as the end of another one
        f"https://www-good-com.evil{host.removeprefix('*.')}{page.pathname}{page.search}"
        for host in family.hosts
    ]
    for address in (*forged(family.example), *ends_like_it):
        found = original(address)
        assert found is None or found.host != "www.good.com", address


@EACH
def test_every_host_of_a_family_is_known_by_it(family: Family) -> None:
    for host in family.hosts:
        assert of_family(host.replace("*", "any"))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        # Google Translate's own examples of its eight steps
        ("https://example-com.translate.goog/", "example.com"),
        ("https://foo-example-com.translate.goog/", "foo.example.com"),
        ("https://foo--example-com.translate.goog/", "foo-example.com"),
        ("https://0-57hw060o-com.translate.goog/?_x_tr_enc=0", "xn--57hw060o.com"),
        ("https://1-en--us-example-com.translate.goog/?_x_tr_enc=1", "en-us.example.com"),
        ("https://0-en----w45as309w-com.translate.goog/?_x_tr_enc=0", "xn--en--w45as309w.com"),
        ("https://1-0-----16pw588q-com.translate.goog/?_x_tr_enc=0,1", "xn----16pw588q.com"),
        (
            "https://lanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch-co-uk.translate.goog/?_x_tr_hp=l",
            "llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch.co.uk",
        ),
        # AMP caches: two dashes, other scripts, a prefix where the third and fourth character are dashes
        ("https://my--shop-com.cdn.ampproject.org/", "my-shop.com"),
        ("https://xn--bcher-example-wob.cdn.ampproject.org/v/s/x", "xn--bcher-kva.example"),
        ("https://0-en----us-example-com-0.cdn.ampproject.org/", "en--us.example.com"),
        ("https://cdn.ampproject.org/v/s/www.good.com/p?amp_js_v=0.1", "www.good.com"),
        ("https://www-good-com.www.bing-amp.com/c/s/x", "www.good.com"),
        (f"https://{amp_hash('www.good.com')}.cdn.ampproject.org/c/s/www.good.com/p", "www.good.com"),
        # archives in the forms that they link to
        ("https://web.archive.org/web/2026/www.good.com/p", "www.good.com"),
        ("https://web.archive.org/web/20260101000000id_/http://www.good.com:80/", "www.good.com"),
        ("https://archive.today/2026.01.01-000000/https://www.good.com/", "www.good.com"),
        ("https://archive.is/o/Ab3dE/https://www.good.com/", "www.good.com"),
        # Proofpoint's older versions
        ("https://urldefense.proofpoint.com/v1/url?u=https://www.good.com/p&k=x", "www.good.com"),
        ("https://urldefense.proofpoint.com/v2/url?u=https-3A__www.good.com_p&d=x", "www.good.com"),
        ("https://p180-www-good-com.library.idm.oclc.org/", "www.good.com"),
        ("https://www.good.com.library.idm.oclc.org/", "www.good.com"),
        ("https://webcache.googleusercontent.com/search?q=cache:www.good.com", "www.good.com"),
        ("https://www.google.co.uk/amp/www.good.com/p", "www.good.com"),
    ],
)
def test_other_forms_are_read(url: str, host: str) -> None:
    found = original(url)
    assert found is not None
    assert found.host == host


@pytest.mark.parametrize(
    "url",
    [
        "https://translate.goog/",
        "https://www.good.com.translate.goog/",  # never the form that it writes
        "https://web.archive.org/",
        "https://web.archive.org/web/https://www.good.com/",  # no time: not a page that is shown
        "https://web.archive.org/save/2026/https://www.good.com/",
        "https://web.archive.org/any/web/2026/https://www.good.com/",  # not where it writes the page
        "https://archive.ph/Ab3dE",  # a short link does not say
        f"https://{amp_hash('copy.example')}.cdn.ampproject.org/c/s/www.good.com/p",
        f"https://{amp_hash('copy.example')}.cdn.ampproject.org/",
        "https://a.b.cdn.ampproject.org/c/s/www.good.com/p",
        "https://xn--9.cdn.ampproject.org/",
        "https://papago.naver.net/website?url=https://www.good.com/&url=https://copy.example/",  # which one?
        "https://papago.naver.net/website",
        "https://cc.bingj.com/cache.aspx?q=www.good.com+shoes&d=1",
        "https://library.idm.oclc.org/login?url=https://www.good.com",
        "https://www-good-com.ezproxy.college.edu/",  # a name that the college, or its student, can choose
        "https://shop.vercel.app/",
        "http://localhost:3000/",
        "https://www.good.com/",
        "https://t.co/abc",
        "fbapp://350685531728/www.good.com",
        "https://[::1]/web/2026/https://www.good.com/",
        "not a URL",
        "https://\ud800/",
    ],
)
def test_what_does_not_say_whose_page_it_shows_is_not_decoded(url: str) -> None:
    assert original(url) is None


@EACH
def test_a_prefix_decides_nothing_within_a_family(family: Family) -> None:
    for url in (family.example, family.example.replace(".com/", ".com./")):
        assert not prefix_decides_original(origin_prefix(url), url)


@pytest.mark.parametrize(
    ("url", "decides"),
    [
        ("https://www.good.com/cart", True),
        ("https://www.good.com/", True),
        ("https://web.archive.org/", True),  # there is no more of it
        ("file:///home/me/page.html", True),
        ("https:////web.archive.org/web/2026/https://www.good.com", False),
        ("https://web.archive.org./web/2026/https://www.good.com", False),
    ],
)
def test_a_prefix_decides_where_nothing_behind_it_counts(url: str, decides: bool) -> None:
    assert prefix_decides_original(origin_prefix(url), url) is decides
