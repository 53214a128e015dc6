"""The smallest change to a policy that lets the snippet work: sources added where they count.

What default-src governs is not added to default-src, which governs images and frames too: the directive of
scripts or of connections is written out, with default-src's sources and what was missing.
"""

from collections.abc import Sequence
from typing import NamedTuple

from workers.csp.needs import Kind, Snippet
from workers.csp.policy import CONNECTIONS, SCRIPT_ELEMENTS, Policy, serialize
from workers.csp.sources import NONE, SELF, hash_source, nonces
from workers.csp.verdict import TRUSTED_TYPES, Finding, Outcome

WRITTEN_OUT = {Kind.SCRIPT: "script-src", Kind.INLINE: "script-src", Kind.CONNECT: "connect-src"}


class Change(NamedTuple):
    """Steps in words: those that change the policy, with the policy after them, and those in the page."""

    in_policy: tuple[str, ...]
    policy: str | None  # None where nothing in it changes
    in_page: tuple[str, ...]

    @property
    def steps(self) -> tuple[str, ...]:
        return self.in_policy + self.in_page


def advise(policy: Policy, findings: Sequence[Finding], snippet: Snippet) -> Change:
    """What allows everything that `findings` say is blocked by this policy. No steps if nothing is."""
    blocked = [finding for finding in findings if finding.outcome is Outcome.BLOCKED]
    directives = {name: list(values) for name, values in policy.directives.items()}
    in_page: list[str] = []
    added: dict[str, list[str]] = {}
    for finding in blocked:
        if finding.directive == "sandbox":
            added["sandbox"] = ["allow-scripts"]
        elif finding.directive == TRUSTED_TYPES:
            in_page.append(
                "give the page a default Trusted Types policy whose createScriptURL lets the snippet's URLs "
                f"be, or take {TRUSTED_TYPES} out"
            )
        elif finding.need.kind is not Kind.INLINE:
            _add(added, WRITTEN_OUT[finding.need.kind], finding.missing)
        elif _nonces_of(policy):
            in_page.append(
                "write the policy's nonce, new in each response, into the snippet's tag: nonce=\"…\""
            )
        elif snippet.text is not None:
            _add(added, WRITTEN_OUT[Kind.INLINE], [hash_source(snippet.text)])
        else:
            in_page.append(
                "add the hash of the inline snippet to script-src (--snippet FILE computes it), or a nonce "
                "that is new in each response; 'unsafe-inline' would allow an attacker's scripts as well"
            )
    if policy.directives.get("sandbox") is not None and "sandbox" in added:
        in_page.append("then check again: nothing else was asked of a policy that runs no scripts")
    steps = tuple(_apply(directives, name, sources) for name, sources in added.items())
    return Change(steps, serialize(directives) if steps else None, tuple(dict.fromkeys(in_page)))


def _add(added: dict[str, list[str]], name: str, sources: Sequence[str]) -> None:
    known = added.setdefault(name, [])
    known.extend(source for source in sources if source not in known)


def _apply(directives: dict[str, list[str]], name: str, sources: list[str]) -> str:
    """Adds sources to the directive that counts, and says so."""
    chain = SCRIPT_ELEMENTS if name == "script-src" else CONNECTIONS if name == "connect-src" else (name,)
    effective = next(each for each in chain if each in directives)
    what = " ".join(sources)
    before = [source for source in directives[effective] if source.lower() != NONE]
    if effective == "default-src":
        if name == "connect-src":  # nonces, hashes and other words for scripts say nothing there
            before = [source for source in before if not source.startswith("'") or source.lower() == SELF]
        directives[name] = before + sources
        copied = " with default-src's sources" if before else ""
        return (
            f"add the directive {name}{copied} and {what}"
            if before
            else f"add the directive {name} with {what}"
        )
    directives[effective] = before + sources
    instead = " instead of 'none'" if len(before) < len(directives[effective]) - len(sources) else ""
    return f"add {what} to {effective}{instead}"


def _nonces_of(policy: Policy) -> list[str]:
    effective = policy.effective(SCRIPT_ELEMENTS)
    return nonces(effective[1]) if effective is not None else []
