"""The table of key states: what is in it happens, everything else is refused in words."""

from itertools import product

import msgspec
import pytest

from topics.write_keys import KeyState, WriteKey
from workers.intake.key_states import TRANSITIONS, Refused, check, leaving

# docs/policy.md, States, written out once more: the test must not follow the table
ALLOWED = {
    (None, "active"),
    ("active", "retiring"),
    ("active", "revoked"),
    ("active", "abused"),
    ("retiring", "revoked"),
    ("retiring", "abused"),
}
STATES: list[KeyState | None] = [None, *KeyState]


def key(state: KeyState | None) -> WriteKey | None:
    if state is None:
        return None
    until = 9 if state is KeyState.RETIRING else None
    return WriteKey(
        key="k1", workspace="acme", source="web", state=state, until=until, changed_at=1, shard=0, seq=1
    )


@pytest.mark.parametrize(("before", "after"), list(product(STATES, KeyState)))
def test_only_the_ways_of_the_table_are_open(before: KeyState | None, after: KeyState) -> None:
    if (before, after) in ALLOWED:
        check(key(before), key(after))
    else:
        with pytest.raises(Refused) as refused:
            check(key(before), key(after))
        assert "k1" in refused.value.message
        for state in TRANSITIONS[before]:
            assert state in refused.value.remedy


@pytest.mark.parametrize("state", ["revoked", "abused"])
def test_final_says_that_it_is_final(state: str) -> None:
    with pytest.raises(Refused, match=f"k1 is {state} and can't become active.*is final"):
        check(key(KeyState(state)), key(KeyState.ACTIVE))


@pytest.mark.parametrize("before", STATES)
def test_a_tombstone_is_refused_whatever_stands(before: KeyState | None) -> None:
    with pytest.raises(Refused, match="can't be deleted"):
        check(key(before), None)


@pytest.mark.parametrize("change", [{"workspace": "other"}, {"source": "other"}])
def test_a_key_stays_where_it_was_registered(change: dict[str, str]) -> None:
    revoked = key(KeyState.REVOKED)
    assert revoked is not None
    with pytest.raises(Refused, match="belongs to acme/web"):
        check(key(KeyState.ACTIVE), msgspec.structs.replace(revoked, **change))


def test_one_key_can_not_become_another() -> None:
    revoked = key(KeyState.REVOKED)
    assert revoked is not None
    with pytest.raises(Refused, match="k1 can't become k2"):
        check(key(KeyState.ACTIVE), msgspec.structs.replace(revoked, key="k2"))


def test_leaving_a_state_needs_to_be_in_one() -> None:
    with pytest.raises(Refused, match="k1 is not registered"):
        leaving(None, "k1", KeyState.REVOKED)
    assert leaving(key(KeyState.ACTIVE), "k1", KeyState.REVOKED) == key(KeyState.ACTIVE)


def test_the_table_can_not_be_changed() -> None:
    with pytest.raises(TypeError):
        TRANSITIONS[KeyState.REVOKED] = frozenset({KeyState.ACTIVE})  # type: ignore[index]  # the point
