"""What a policy blocks of the snippet, and that the change that is advised allows it: the smallest one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.csp.advice import advise
from workers.csp.needs import Need, Snippet, needs, sources
from workers.csp.policy import Policy, parse_header, parse_policy, serialize
from workers.csp.sources import hash_source, parse_url
from workers.csp.verdict import Finding, Outcome, judge_all
from workers.errors import Poison

PAGE = parse_url("https://shop.example/")
TEXT = "analytics.load('k')"
HASH = hash_source(TEXT)
KNOWN = Snippet(TEXT, tag_known=True)
HOSTS = "https://cdn.segment.com https://api.segment.io"


def judged(text: str, snippet: Snippet = KNOWN, wanted: list[Need] | None = None) -> list[Finding]:
    (findings,) = judge_all(parse_header(text), wanted or needs(), snippet, PAGE)
    return findings


def blocked(text: str, snippet: Snippet = KNOWN) -> list[str]:
    return [each.need.name for each in judged(text, snippet) if each.outcome is Outcome.BLOCKED]


def policy_of(text: str) -> Policy:
    policy = parse_policy(text)
    assert policy is not None
    return policy


INLINE, FIRST, PARTS, DESTINATIONS, SETTINGS, CALLS = [need.name for need in needs()]
SCRIPTS = [FIRST, PARTS, DESTINATIONS]
ALL = [INLINE, *SCRIPTS, SETTINGS, CALLS]


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ("default-src 'none'", ALL),
        ("img-src 'none'", []),
        (f"default-src 'unsafe-inline' {HOSTS}", []),
        ("script-src https://cdn.segment.com", [INLINE]),
        ("script-src 'unsafe-inline'", SCRIPTS),
        ("connect-src https://cdn.segment.com", [CALLS]),
        ("connect-src https://api.segment.io", [SETTINGS]),
        ("connect-src https://cdn.segment.com https://api.segment.io/v1/t", [CALLS]),
        ("script-src 'unsafe-inline' https://cdn.segment.com/analytics.js/", [PARTS, DESTINATIONS]),
        ("script-src 'strict-dynamic' 'nonce-x'", [INLINE]),
        (f"script-src 'strict-dynamic' {HASH}", []),
        (f"script-src {HASH}", SCRIPTS),
        ("sandbox allow-forms; script-src 'unsafe-inline' *", ALL),
        ("sandbox allow-scripts", []),
        ("require-trusted-types-for 'script'", SCRIPTS),
    ],
)
def test_what_is_blocked(policy: str, names: list[str]) -> None:
    assert blocked(policy) == names


@pytest.mark.parametrize(
    ("policy", "snippet", "outcome"),
    [
        ("script-src 'nonce-a'", Snippet(), Outcome.DEPENDS),
        ("script-src 'nonce-a'", Snippet(TEXT), Outcome.DEPENDS),
        ("script-src 'nonce-a'", KNOWN, Outcome.BLOCKED),
        ("script-src 'nonce-a'", Snippet(TEXT, True, "a"), Outcome.ALLOWED),
        ("script-src 'nonce-a'", Snippet(TEXT, True, "A"), Outcome.BLOCKED),
        (f"script-src {HASH}", Snippet(), Outcome.DEPENDS),
        (f"script-src {HASH}", Snippet(TEXT), Outcome.ALLOWED),
        (f"script-src {HASH}", Snippet(TEXT + ";"), Outcome.BLOCKED),
        ("script-src 'unsafe-inline'", Snippet(), Outcome.ALLOWED),
        ("script-src 'unsafe-inline' 'nonce-a'", KNOWN, Outcome.BLOCKED),
        ("script-src 'self'", Snippet(), Outcome.BLOCKED),
    ],
)
def test_the_inline_snippet(policy: str, snippet: Snippet, outcome: Outcome) -> None:
    assert judged(policy, snippet)[0].outcome is outcome


@pytest.mark.parametrize(
    ("policy", "then"),
    [
        ("script-src 'self' 'unsafe-inline'", "script-src 'self' 'unsafe-inline' https://cdn.segment.com"),
        ("connect-src 'none'", f"connect-src {HOSTS}"),
        (
            "default-src 'self'; script-src 'unsafe-inline' *",
            f"default-src 'self'; script-src 'unsafe-inline' *; connect-src 'self' {HOSTS}",
        ),
        (
            "default-src 'none'; img-src *",
            f"default-src 'none'; img-src *; script-src {HASH} https://cdn.segment.com; connect-src {HOSTS}",
        ),
        (
            "script-src-elem 'self'; script-src *",
            f"script-src-elem 'self' {HASH} https://cdn.segment.com; script-src *",
        ),
        (
            "default-src 'self' 'strict-dynamic' 'unsafe-inline' 'nonce-x' a.example; script-src *",
            "default-src 'self' 'strict-dynamic' 'unsafe-inline' 'nonce-x' a.example; "
            f"script-src * {HASH}; connect-src 'self' a.example {HOSTS}",
        ),
        ("script-src 'strict-dynamic'", f"script-src 'strict-dynamic' {HASH}"),
        ("connect-src https://cdn.segment.com", f"connect-src {HOSTS}"),
    ],
)
def test_the_smallest_change(policy: str, then: str) -> None:
    assert advise(policy_of(policy), judged(policy), KNOWN).policy == then


def test_what_is_allowed_needs_no_change() -> None:
    policy = f"default-src 'unsafe-inline' {HOSTS}"
    assert advise(policy_of(policy), judged(policy), KNOWN) == ((), None, ())


def test_a_nonce_is_written_into_the_tag_not_into_the_policy() -> None:
    policy = "script-src 'nonce-a' 'strict-dynamic'"
    change = advise(policy_of(policy), judged(policy), KNOWN)
    assert change.policy is None
    assert "nonce" in change.steps[0]


def test_a_snippet_that_is_not_known_is_asked_for() -> None:
    policy = f"script-src {HOSTS}"
    change = advise(policy_of(policy), judged(policy, Snippet()), Snippet())
    assert change.policy is None
    assert "--snippet" in change.steps[0]


VALUES = [
    "'self'", "'none'", "*", "https:", "http:", "'unsafe-inline'", "'strict-dynamic'", "img.example", HASH,
    "cdn.segment.com", "*.segment.com", "https://api.segment.io", "https://cdn.segment.com/analytics.js/",
    "https://api.segment.io:444", "'sha256-QQ=='",
]  # fmt: skip
NAMES = ["default-src", "script-src", "script-src-elem", "connect-src", "img-src"]
POLICIES = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=4), min_size=1
).map(lambda drawn: "; ".join(" ".join([name, *values]) for name, values in drawn.items()))


@given(POLICIES)
def test_a_changed_policy_allows_all_and_each_addition_is_needed(policy: str) -> None:
    before = judged(policy)
    change = advise(policy_of(policy), before, KNOWN)
    if not any(each.outcome is Outcome.BLOCKED for each in before):
        assert change == ((), None, ())
        return
    assert change.policy is not None
    assert blocked(change.policy) == []
    after = policy_of(change.policy).directives
    for name, values in after.items():
        for value in set(values) - {v for old in policy_of(policy).directives.values() for v in old}:
            fewer = {**after, name: [each for each in values if each != value]}
            assert blocked(serialize(fewer)), (name, value)


def test_each_policy_is_judged_by_itself_and_report_only_is_no_less() -> None:
    policies = parse_header(f"script-src 'unsafe-inline' {HOSTS}, connect-src 'none'") + parse_header(
        "default-src 'none'", report_only=True
    )
    found = judge_all(policies, needs(), KNOWN, PAGE)
    assert [sum(each.outcome is Outcome.BLOCKED for each in one) for one in found] == [0, 2, 6]


def test_own_hosts_take_the_place_of_segments() -> None:
    wanted = needs("https://cdn.acme.example:8443/sdk/", ["in.acme.example", "https://in2.acme.example/x"])
    assert sources(wanted, Snippet(TEXT)) == {
        "script-src": ["https://cdn.acme.example:8443", HASH],
        "connect-src": [
            "https://cdn.acme.example:8443",
            "https://in.acme.example",
            "https://in2.acme.example",
        ],
    }


def test_a_redirect_needs_both_hosts() -> None:
    wanted = needs("a.example", ["a.example"], redirects={"a.example": "b.example", "b.example": "a.example"})
    assert sources(wanted, Snippet())["connect-src"] == ["https://a.example", "https://b.example"]
    (findings,) = judge_all(parse_header("connect-src a.example b.example/x"), wanted, KNOWN, PAGE)
    assert all(each.outcome is Outcome.ALLOWED for each in findings)


@pytest.mark.parametrize("host", ["", "a b", "https://a.example/?x", "ftp://a.example"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(Poison):
        needs(host)
