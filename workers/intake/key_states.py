"""The states of a write key and the only ways between them (docs/policy.md, States).

Revoked and abused are final: a key never comes back, and a key is never deleted, because a deleted revocation
would turn the key into an unknown one.
"""

from collections.abc import Mapping
from types import MappingProxyType

from topics.write_keys import KeyState, WriteKey
from workers.errors import Poison

# state (None: not registered) → the states that may follow
TRANSITIONS: Mapping[KeyState | None, frozenset[KeyState]] = MappingProxyType(
    {
        None: frozenset({KeyState.ACTIVE}),
        KeyState.ACTIVE: frozenset({KeyState.RETIRING, KeyState.REVOKED, KeyState.ABUSED}),
        KeyState.RETIRING: frozenset({KeyState.REVOKED, KeyState.ABUSED}),
        KeyState.REVOKED: frozenset(),
        KeyState.ABUSED: frozenset(),
    }
)


class Refused(Poison):
    """A change of policy that must not happen. Asking again gives the same answer."""


def check(before: WriteKey | None, after: WriteKey | None) -> None:
    """Returns if `after` may follow `before`; raises Refused, naming what may."""
    if after is None:
        raise Refused(
            "a write key can't be deleted: its revocation would be forgotten",
            remedy="Revoke it: `strongroom keys revoke KEY --reason R`",
        )
    if before is not None and before.key != after.key:
        raise Refused(f"{before.key} can't become {after.key}", remedy="Rotate to a new key")
    allow(after.key, before.state if before else None, after.state)
    if before is not None and (before.workspace, before.source) != (after.workspace, after.source):
        raise Refused(
            f"write key {after.key} belongs to {before.workspace}/{before.source} and stays there",
            remedy="Register another key for the other source",
        )


def allow(key: str, before: KeyState | None, after: KeyState) -> None:
    """Returns if a key may go from state to state; raises Refused, naming those it may go to."""
    if after not in TRANSITIONS[before]:
        raise _refusal(key, before, after)


def leaving(before: WriteKey | None, key: str, after: KeyState) -> WriteKey:
    """`before`, if it is registered and may go to `after`; else raises Refused."""
    if before is None:
        raise _refusal(key, None, after)
    allow(key, before.state, after)
    return before


def _refusal(key: str, before: KeyState | None, after: KeyState) -> Refused:
    return Refused(f"write key {key} {_is(before)} and can't become {after}", remedy=_allowed(before))


def _is(state: KeyState | None) -> str:
    return f"is {state}" if state else "is not registered"


def _allowed(state: KeyState | None) -> str:
    following = sorted(TRANSITIONS[state])
    if not following:
        return f"{str(state).capitalize()} is final: register a new key with `strongroom keys add`"
    return f"From here it can become: {', '.join(following)}"
