"""Policies and the snippet are found in what people save of a page."""

import pytest

from workers.csp.needs import Snippet
from workers.csp.page import read_page
from workers.csp.policy import Carrier

HEAD = "HTTP/1.1 200 OK\r\nServer: x\r\n"


def texts(saved: str) -> list[tuple[str, str, bool]]:
    return [(policy.text, policy.carrier.value, policy.report_only) for policy in read_page(saved).policies]


@pytest.mark.parametrize(
    ("saved", "found"),
    [
        ("script-src a; img-src b", [("script-src a; img-src b", "header", False)]),
        ("script-src a,\n img-src b\n", [("script-src a", "header", False), ("img-src b", "header", False)]),
        (
            "Content-Security-Policy: script-src https://a.example",
            [("script-src https://a.example", "header", False)],
        ),
        (
            f"{HEAD}CONTENT-SECURITY-POLICY: script-src a\r\n"
            "content-security-policy: img-src b, font-src c\r\n\r\n",
            [
                ("script-src a", "header", False),
                ("img-src b", "header", False),
                ("font-src c", "header", False),
            ],
        ),
        (
            f"{HEAD}Content-Security-Policy-Report-Only:script-src a\r\n\r\n",
            [("script-src a", "header", True)],
        ),
        (
            "HTTP/1.1 200 Connection established\r\n\r\n"
            "HTTP/2 301\r\nContent-Security-Policy: img-src old\r\n\r\n"
            "HTTP/2 200\r\nContent-Security-Policy: img-src new\r\n\r\n<p>",
            [("img-src new", "header", False)],
        ),
        (
            f"{HEAD}Content-Security-Policy: script-src a;\r\n  img-src b\r\n\r\n",
            [("script-src a; img-src b", "header", False)],
        ),
        (f"{HEAD}\r\nContent-Security-Policy: script-src a\r\n", []),
        (
            '<!doctype html><meta http-equiv="Content-Security-Policy" content="img-src a">',
            [("img-src a", "meta", False)],
        ),
        (
            "\ufeff<HTML><TITLE>a</TITLE><style>p{}</style>"
            "<META CONTENT='img-src &quot;' HTTP-EQUIV=content-security-policy>",
            [('img-src "', "meta", False)],
        ),
        (
            f"{HEAD}Content-Security-Policy: img-src a\r\n\r\n"
            '<meta http-equiv="content-security-policy" content="img-src b">',
            [("img-src a", "header", False), ("img-src b", "meta", False)],
        ),
        ('<body><meta http-equiv="content-security-policy" content="img-src a">', []),
        ('<p>x<meta http-equiv="content-security-policy" content="img-src a">', []),
        (
            '<head></head><meta http-equiv="content-security-policy" content="img-src a">',
            [("img-src a", "meta", False)],
        ),
        ('<script src=a></script>x<meta http-equiv="content-security-policy" content="img-src a">', []),
        ('<noscript><meta http-equiv="content-security-policy" content="img-src a"></noscript>', []),
        ('<template><meta http-equiv="content-security-policy" content="img-src a"></template>', []),
        (
            "server:\nnginx\ncontent-security-policy:\nscript-src https://a.example\nvary:\norigin\n",
            [("script-src https://a.example", "header", False)],
        ),
        ('<!-- <meta http-equiv="content-security-policy" content="img-src a"> -->', []),
        ('<script>"<meta http-equiv=content-security-policy content=a>"</script>', []),
        ('<meta http-equiv="content-security-policy-report-only" content="img-src a">', []),
        ('<meta http-equiv="content-security-policy">', []),
    ],
)
def test_policies(saved: str, found: list[tuple[str, str, bool]]) -> None:
    assert texts(saved) == found


@pytest.mark.parametrize(
    ("html", "snippet"),
    [
        ("<script>analytics.load('k')</script>", Snippet("analytics.load('k')", True)),
        ("<script nonce=aB>analytics.load('k')\r\n</script>", Snippet("analytics.load('k')\n", True, "aB")),
        (
            "<script>other()</script><script>x='/analytics.min.js'&amp;1</script>",
            Snippet("x='/analytics.min.js'&amp;1", True),
        ),
        ("<script src=/analytics.js/v1/k/analytics.min.js></script>", None),
        ("<script type=application/json>analytics.load('k')</script>", None),
        ("<script type=module>analytics.load('k')</script>", Snippet("analytics.load('k')", True)),
        ("<p>analytics.load('k')</p>", None),
    ],
)
def test_the_snippet(html: str, snippet: Snippet | None) -> None:
    assert read_page(f"<!doctype html><html>{html}</html>").snippet == snippet


def test_a_meta_element_behind_the_snippet_comes_too_late_for_it() -> None:
    page = read_page(
        "<html><meta http-equiv=content-security-policy content='img-src a'>"
        "<script>analytics.load('k')</script>"
        "<meta http-equiv=content-security-policy content='img-src b'></html>"
    )
    assert [(each.carrier, each.after_snippet) for each in page.policies] == [
        (Carrier.META, False),
        (Carrier.META, True),
    ]


def test_what_browsers_pass_over_is_said() -> None:
    assert read_page('<meta http-equiv="content-security-policy-report-only" content="img-src a">').notes
    assert read_page('<body><meta http-equiv="content-security-policy" content="img-src a">').notes
    assert read_page("<meta http-equiv=content-security-policy content='img-src a, font-src b'>").notes


def test_a_bare_policy_may_be_report_only() -> None:
    assert [each.report_only for each in read_page("img-src a, font-src b", report_only=True).policies] == [
        True,
        True,
    ]
