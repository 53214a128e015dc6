"""Policies are parsed as CSP Level 3 says: what counts, what is passed over, how many there are."""

import pytest

from workers.csp.policy import CONNECTIONS, SCRIPT_ELEMENTS, Carrier, Policy, parse_header, parse_policy


def parsed(text: str, *, report_only: bool = False) -> Policy:
    policy = parse_policy(text, report_only=report_only)
    assert policy is not None
    return policy


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ("default-src 'self'", {"default-src": ("'self'",)}),
        ("Default-SRC 'Self' A.example", {"default-src": ("'Self'", "A.example")}),
        ("script-src a; script-src b; SCRIPT-SRC c", {"script-src": ("a",)}),
        (" ;; script-src\ta\n b \f;\r; ", {"script-src": ("a", "b")}),
        ("upgrade-insecure-requests", {"upgrade-insecure-requests": ()}),
        ("script-src a;connect-src", {"script-src": ("a",), "connect-src": ()}),
        ("script-src a\u00a0b; img-src c", {"img-src": ("c",)}),
        ("made-up x; script-src a", {"made-up": ("x",), "script-src": ("a",)}),
        ("script-\u212arc a; connect-src b", {"connect-src": ("b",)}),
        ("script-src a\x0bb", {"script-src": ("a\x0bb",)}),
    ],
)
def test_directives(text: str, directives: dict[str, tuple[str, ...]]) -> None:
    assert dict(parsed(text).directives) == directives


@pytest.mark.parametrize("text", ["", " ", ";", " ; ;\t", "\u00e9 a"])
def test_what_holds_no_directive_is_no_policy(text: str) -> None:
    assert parse_policy(text) is None


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("script-src a, connect-src b", ["script-src a", "connect-src b"]),
        ("script-src a,,;,", ["script-src a"]),
        ("script-src a", ["script-src a"]),
        ("", []),
    ],
)
def test_a_header_has_a_policy_between_commas(value: str, texts: list[str]) -> None:
    assert [policy.text for policy in parse_header(value)] == texts


@pytest.mark.parametrize(
    ("text", "chain", "effective"),
    [
        ("script-src-elem a; script-src b; default-src c", SCRIPT_ELEMENTS, "script-src-elem"),
        ("default-src c; script-src b", SCRIPT_ELEMENTS, "script-src"),
        ("default-src c; script-src-attr b; connect-src d", SCRIPT_ELEMENTS, "default-src"),
        ("script-src-attr b; worker-src c", SCRIPT_ELEMENTS, None),
        ("default-src c; connect-src", CONNECTIONS, "connect-src"),
        ("default-src c; script-src d", CONNECTIONS, "default-src"),
        ("script-src d", CONNECTIONS, None),
    ],
)
def test_a_directive_that_is_missing_falls_back(
    text: str, chain: tuple[str, ...], effective: str | None
) -> None:
    found = parsed(text).effective(chain)
    assert (found and found[0]) == effective


def test_what_is_passed_over_is_said() -> None:
    policy = parse_policy(
        "script-scr a; img-src b; IMG-SRC c; sandbox; font-src \u00e9", carrier=Carrier.META
    )
    assert policy is not None
    assert [each.partition(":")[0] for each in policy.ignored] == [
        "script-scr",
        "img-src",
        "sandbox",
        "font-src",
    ]
    assert parsed("sandbox", report_only=True).ignored
    assert not parsed("sandbox; script-src a").ignored
