"""The proposal of own hosts: what was seen, and nothing that anybody else can have a name under."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.origins.observing import observation, observed
from topics.origin_verdicts import VerdictKind
from workers.origins.allow_list import propose
from workers.origins.hosts import HostPatterns, parse_pattern, public_suffix


def patterns(*seen: tuple[str, int], own: tuple[str, ...] = (), **verdicts: VerdictKind) -> list[str]:
    """What is proposed of (host, records); verdicts by host, with _ for each dot."""
    found = propose(
        observed(*(observation(*each) for each in seen)),
        HostPatterns(own) if own else None,
        {host.replace("_", "."): kind for host, kind in verdicts.items()},
        0.01,
    )
    return [each.pattern for each in found if each.pattern]


def why(host: str, *seen: tuple[str, int], own: tuple[str, ...] = (), **observed_as: Any) -> str:
    """Why a host with 50 records beside 100 of www.shop.example is not proposed."""
    found = propose(
        observed(
            observation("www.shop.example", 100),
            observation(host, 50, **observed_as),
            *(observation(*each) for each in seen),
        ),
        HostPatterns(own) if own else None,
        {},
        0.01,
    )
    return next(each.why for each in found if host in each.hosts)


def test_hosts_of_one_domain_become_one_pattern_and_a_single_host_stays_one() -> None:
    assert patterns(("www.shop.example", 80), ("shop.example", 20), ("acme.test.example", 30)) == [
        "[*.]shop.example",
        "acme.test.example",
    ]


def test_names_under_a_public_suffix_are_proposed_one_by_one() -> None:
    seen = ("a.vercel.app", 50), ("b.vercel.app", 40), ("shop.co.uk", 30), ("acme.co.uk", 20)
    assert patterns(*seen) == [host for host, _ in seen]


def test_a_domain_of_which_one_host_is_in_doubt_is_not_covered() -> None:
    seen = ("www.shop.example", 80), ("a.shop.example", 20), ("old.shop.example", 30)
    assert patterns(*seen, old_shop_example=VerdictKind.COPY) == ["www.shop.example", "a.shop.example"]


@pytest.mark.parametrize("kind", [VerdictKind.SUSPECT, VerdictKind.COPY, VerdictKind.HOSTILE])
def test_what_is_judged_is_not_proposed(kind: VerdictKind) -> None:
    assert patterns(("www.shop.example", 80), ("copy.example", 50), copy_example=kind) == ["www.shop.example"]
    assert patterns(("copy.example", 50), copy_example=VerdictKind.BENIGN) == ["copy.example"]


def test_why_others_are_not() -> None:
    assert "decoded" in why("www-shop-example.translate.goog")
    assert "private" in why("localhost")
    assert "private" in why("192.168.1.4")
    assert "address" in why("203.0.113.9")
    assert "www.shop.example: so does a copy" in why(
        "copy.com", claims={"www.shop.example": 40, "copy.com": 10}
    )
    assert "looks like" in why("www.sh0ps.example", ("www.shops.example", 500))
    assert "listed already" in why("a.shop.example", own=("[*.]shop.example",))
    assert "too few" in why("rare.example", ("www.shop.example", 10_000))


def test_where_its_pages_name_another_host_of_the_domain_it_is_no_copy() -> None:
    assert why("m.shop.example", claims={"www.shop.example": 50}) == ""


def test_nothing_seen_proposes_nothing() -> None:
    assert propose(observed(), None, {}, 0.01) == []


names = st.from_regex(r"\A[a-z]{1,4}(\.[a-z]{1,4}){0,2}\.(com|co\.uk|vercel\.app|example|kobe\.jp)\Z")


@given(st.lists(st.tuples(names, st.integers(1, 99)), max_size=12))
def test_a_pattern_passes_the_rules_and_holds_no_host_that_was_not_under_a_domain_of_one_party(
    seen: list[tuple[str, int]],
) -> None:
    for text in patterns(*seen):
        pattern = parse_pattern(text)
        if pattern.below:
            assert public_suffix(pattern.host) != pattern.host
            assert any(host == pattern.host or host.endswith(f".{pattern.host}") for host, _ in seen)
