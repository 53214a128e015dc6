"""Hosts against the vectors of browsers and of the Public Suffix List (tests/vectors/hosts/README.md)."""

import json
import re
from pathlib import Path
from typing import Any

from workers.origins.hosts import WEB_SCHEMES, WebOrigin, registrable_domain, web_host, web_origin

VECTORS = Path(__file__).parents[2] / "vectors/hosts"
SUFFIX_TEST = re.compile(r"^checkPublicSuffix\((.+), (.+)\);", re.MULTILINE)


def vectors(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((VECTORS / name).read_text())
    return cases


def expected(case: dict[str, Any]) -> WebOrigin | None:
    """As the vector says, but the root's dot goes, and what then has no host is no origin."""
    if case.get("failure") or case["protocol"] not in WEB_SCHEMES:
        return None
    host = case["hostname"].removesuffix(".")
    return (
        WebOrigin(case["protocol"][:-1], host, int(case["port"]) if case["port"] else None) if host else None
    )


def test_urls_are_read_as_the_web_platform_tests_say() -> None:
    cases = vectors("urltestdata.json")
    wrong = [
        (case["input"], web_origin(case["input"]))
        for case in cases
        if web_origin(case["input"]) != expected(case)
    ]
    assert not wrong
    assert len(cases) > 600
    assert sum(expected(case) is not None for case in cases) > 150


def test_names_become_ascii_as_the_web_platform_tests_say() -> None:
    wrong = []
    for case in vectors("toascii.json"):
        host = web_host(f"https://{case['input']}/x")
        if host != (case["output"] and case["output"].removesuffix(".")):
            wrong.append((case["input"], case["output"], host))
    assert not wrong


def test_registrable_domains_are_those_of_the_lists_own_tests() -> None:
    cases = SUFFIX_TEST.findall((VECTORS / "test_psl.txt").read_text())
    wrong = []
    for given, wanted in cases:
        host = None if given == "null" else web_host(f"https://{given.strip(chr(39))}/")
        domain = registrable_domain(host) if host is not None else None
        if domain != (None if wanted == "null" else web_host(f"https://{wanted.strip(chr(39))}/")):
            wrong.append((given, wanted, domain))
    assert not wrong
    assert len(cases) > 70
