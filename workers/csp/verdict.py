"""What a policy says to each of the snippet's needs."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from workers.csp import needs as needs_of
from workers.csp.needs import Kind, Need, Snippet
from workers.csp.policy import CONNECTIONS, SCRIPT_ELEMENTS, Carrier, Policy
from workers.csp.sources import (
    STRICT_DYNAMIC,
    UNSAFE_INLINE,
    Url,
    allows_text,
    allows_url,
    has,
    hashes,
    nonces,
)

TRUSTED_TYPES = "require-trusted-types-for"


class Outcome(StrEnum):
    ALLOWED = "allowed"
    DEPENDS = "depends"  # on the snippet's tag or text, which were not given
    BLOCKED = "blocked"


class Finding(NamedTuple):
    need: Need
    outcome: Outcome
    directive: str = ""  # that decided; empty where none governs
    why: str = ""
    missing: tuple[str, ...] = ()  # origins that are not allowed


def judge_all(
    policies: Sequence[Policy], wanted: Sequence[Need], snippet: Snippet, page: Url
) -> list[list[Finding]]:
    """A list a policy, a finding a need. A browser asks each policy by itself: what one blocks is blocked."""
    if any(
        "upgrade-insecure-requests" in policy.directives and not policy.report_only for policy in policies
    ):
        wanted = needs_of.upgraded(wanted)
    return [[judge(policy, need, snippet, page) for need in wanted] for policy in policies]


def judge(policy: Policy, need: Need, snippet: Snippet, page: Url) -> Finding:
    """What one policy says to one need, as if all others let it be."""
    if need.kind is Kind.INLINE and policy.after_snippet:
        return Finding(need, Outcome.ALLOWED, why="the meta element stands behind the snippet")
    if _is_without_scripts(policy):
        return Finding(need, Outcome.BLOCKED, "sandbox", "no script runs without allow-scripts")
    if need.kind is Kind.INLINE:
        return _judge_inline(policy, need, snippet)
    if need.kind is Kind.SCRIPT and has(policy.directives.get(TRUSTED_TYPES, ()), "'script'"):
        why = "it sets a script's src to a string: only a default Trusted Types policy of the page lets it"
        return Finding(need, Outcome.BLOCKED, TRUSTED_TYPES, why)
    return _judge_url(policy, need, page)


def _judge_url(policy: Policy, need: Need, page: Url) -> Finding:
    effective = policy.effective(SCRIPT_ELEMENTS if need.kind is Kind.SCRIPT else CONNECTIONS)
    if effective is None:
        return Finding(need, Outcome.ALLOWED)
    directive, sources = effective
    if need.kind is Kind.SCRIPT and has(sources, STRICT_DYNAMIC):
        # 6.1.10.1: hosts count for nothing, and what a script that runs inserts is allowed
        return Finding(
            need, Outcome.ALLOWED, directive, "'strict-dynamic': the snippet, once it runs, may load it"
        )
    missing = [
        hop.origin
        for chain in need.urls
        for n, hop in enumerate(chain)
        if not allows_url(sources, hop, page, redirected=n > 0)
    ]
    if not missing:
        return Finding(need, Outcome.ALLOWED, directive)
    missing = list(dict.fromkeys(missing))
    return Finding(need, Outcome.BLOCKED, directive, f"does not name {', '.join(missing)}", tuple(missing))


def _judge_inline(policy: Policy, need: Need, snippet: Snippet) -> Finding:
    effective = policy.effective(SCRIPT_ELEMENTS)
    if effective is None:
        return Finding(need, Outcome.ALLOWED)
    directive, sources = effective
    known_nonces, known_hashes = nonces(sources), hashes(sources)
    strict = bool(known_nonces or known_hashes or has(sources, STRICT_DYNAMIC))
    if has(sources, UNSAFE_INLINE) and not strict:
        return Finding(need, Outcome.ALLOWED, directive, UNSAFE_INLINE)
    if snippet.nonce is not None and snippet.nonce in known_nonces:
        return Finding(need, Outcome.ALLOWED, directive, "its tag has the nonce")
    if snippet.text is not None and allows_text(sources, snippet.text):
        return Finding(need, Outcome.ALLOWED, directive, "has its hash")
    ways = []
    if known_nonces and not snippet.tag_known:
        ways.append("its tag has the policy's nonce")
    if known_hashes and snippet.text is None:
        ways.append("one of the policy's hashes is that of its text")
    if ways:
        return Finding(need, Outcome.DEPENDS, directive, "runs only if " + " or ".join(ways))
    return Finding(need, Outcome.BLOCKED, directive, _why_not_inline(sources, strict))


def _why_not_inline(sources: Sequence[str], strict: bool) -> str:
    if strict and has(sources, UNSAFE_INLINE):
        return "'unsafe-inline' counts for nothing beside nonces, hashes and 'strict-dynamic'"
    return "has neither its nonce nor its hash nor 'unsafe-inline'"


def _is_without_scripts(policy: Policy) -> bool:
    values = policy.directives.get("sandbox")
    counts = policy.carrier is Carrier.HEADER and not policy.report_only
    return values is not None and counts and not has(values, "allow-scripts")
