"""Content-Security-Policies, parsed as browsers do.

CSP Level 3, 2.2.1 and 2.2.2: https://www.w3.org/TR/CSP3/#parse-serialized-policy
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

# ASCII whitespace of the Infra standard; Python's own split knows more kinds
_WHITESPACE = re.compile(r"[\t\n\f\r ]+")
_SPACES = "\t\n\f\r "

SCRIPT_ELEMENTS = ("script-src-elem", "script-src", "default-src")  # 6.8.3, for script elements
CONNECTIONS = ("connect-src", "default-src")  # for fetch, XMLHttpRequest and sendBeacon

KNOWN = frozenset(
    {
        "base-uri",
        "block-all-mixed-content",
        "child-src",
        "connect-src",
        "default-src",
        "fenced-frame-src",
        "font-src",
        "form-action",
        "frame-ancestors",
        "frame-src",
        "img-src",
        "manifest-src",
        "media-src",
        "object-src",
        "report-to",
        "report-uri",
        "require-trusted-types-for",
        "sandbox",
        "script-src",
        "script-src-attr",
        "script-src-elem",
        "style-src",
        "style-src-attr",
        "style-src-elem",
        "trusted-types",
        "upgrade-insecure-requests",
        "webrtc",
        "worker-src",
    }
)
# of no effect in a meta element (HTML, 4.2.5.3), and sandbox in a report-only policy either (CSP 6.3.2)
NOT_IN_META = frozenset({"frame-ancestors", "report-uri", "sandbox"})


class Carrier(StrEnum):
    """How a policy came to the browser."""

    HEADER = "header"
    META = "meta"


class Policy(NamedTuple):
    """One policy. `directives` are those that count: name in lower case → values as they were written."""

    directives: Mapping[str, tuple[str, ...]]
    text: str
    carrier: Carrier = Carrier.HEADER
    report_only: bool = False
    ignored: tuple[str, ...] = ()  # what the browser passes over, in words
    after_snippet: bool = False  # a meta element that stands behind the snippet: it came too late for that

    def effective(self, chain: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
        """The first directive of a fallback chain that the policy has, and its values."""
        return next(((name, self.directives[name]) for name in chain if name in self.directives), None)


def parse_policy(
    text: str, *, carrier: Carrier = Carrier.HEADER, report_only: bool = False, after_snippet: bool = False
) -> Policy | None:
    """A serialized policy, semicolons between its directives. None if it holds no directive: no policy."""
    directives: dict[str, tuple[str, ...]] = {}
    ignored: list[str] = []
    for token in text.split(";"):
        name, *values = [part for part in _WHITESPACE.split(token.strip(_SPACES)) if part] or [""]
        name = _lower(name)
        if not name:
            continue
        if not token.isascii():
            ignored.append(f"{name}: has characters beyond ASCII, which a policy must percent-encode")
        elif name in directives:
            ignored.append(f"{name}: stands a second time, only the first counts")
        else:
            directives[name] = tuple(values)
            if (why := _without_effect(name, carrier, report_only)) is not None:
                ignored.append(f"{name}: {why}")
    if not directives:
        return None
    return Policy(
        MappingProxyType(directives), text.strip(_SPACES), carrier, report_only, tuple(ignored), after_snippet
    )


def parse_header(value: str, *, report_only: bool = False) -> list[Policy]:
    """All policies of a header's value: commas stand between them, even where one was not meant so."""
    parsed = (parse_policy(part, report_only=report_only) for part in value.split(","))
    return [policy for policy in parsed if policy is not None]


def serialize(directives: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(" ".join([name, *values]) for name, values in directives.items())


def _without_effect(name: str, carrier: Carrier, report_only: bool) -> str | None:
    if name not in KNOWN:
        return "no browser knows this directive"
    if carrier is Carrier.META and name in NOT_IN_META:
        return "has no effect in a meta element"
    if report_only and name == "sandbox":
        return "has no effect in a report-only policy"
    return None


def _lower(text: str) -> str:
    """ASCII's letters alone: str.lower() makes a k of the Kelvin sign."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
