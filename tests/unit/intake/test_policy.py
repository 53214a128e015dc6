"""The copy of policy: order of delivery does not matter, and nothing brings a stopped key back."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.intake.making import NOW, key_record, workspace_record
from topics import workspaces, write_keys
from topics.codec import HIDDEN
from topics.workspaces import WorkspaceState
from topics.write_keys import KeyState
from workers.errors import Poison
from workers.intake.policy import Applied, Policy


def test_a_key_is_known_once_its_record_came() -> None:
    policy = Policy()
    assert policy.write_key("known") is None
    assert policy.apply_write_key(key_record(state=KeyState.RETIRING, until=NOW)) is Applied.APPLIED
    known = policy.write_key("known")
    assert known is not None
    assert (known.workspace, known.source, known.state, known.until, known.seq) == (
        "acme",
        "site",
        KeyState.RETIRING,
        NOW,
        1,
    )


def test_the_highest_seq_wins_in_any_order() -> None:
    records = [
        key_record(seq=1),
        key_record(seq=2, state=KeyState.RETIRING, until=NOW),
        key_record(seq=3, state=KeyState.REVOKED),
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0], [2, 2, 0]):
        policy = Policy()
        for number in order:
            policy.apply_write_key(records[number])
        known = policy.write_key("known")
        assert known is not None
        assert known.state is KeyState.REVOKED


def test_the_same_change_twice_is_no_change() -> None:
    policy = Policy()
    told: list[str] = []
    policy.follow(told.append, told.append)
    assert policy.apply_write_key(key_record()) is Applied.APPLIED
    assert policy.apply_write_key(key_record()) is Applied.OLDER
    assert policy.apply_workspace(workspace_record()) is Applied.APPLIED
    assert policy.apply_workspace(workspace_record()) is Applied.OLDER
    assert told == ["known", "acme"]
    assert not policy.kept_out


def test_a_final_state_is_final_even_for_a_later_record() -> None:
    for final in (KeyState.REVOKED, KeyState.ABUSED):
        policy = Policy()
        policy.apply_write_key(key_record(state=final))
        for later in {*KeyState} - {final}:
            assert policy.apply_write_key(key_record(state=later, until=NOW, seq=9)) is Applied.FINAL
        known = policy.write_key("known")
        assert known is not None
        assert known.state is final
        assert policy.kept_out == {(write_keys.NAME, Applied.FINAL): 3}


def test_tombstones_and_garbage_are_kept_out_and_counted_by_kind() -> None:
    policy = Policy()
    policy.apply_write_key(key_record(state=KeyState.REVOKED))
    policy.apply_workspace(workspace_record(state=WorkspaceState.CLOSED))
    garbage = [b"", b"{", b"[]", b"\xff", b'{"v":2}', key_record(workspace="acme").replace(b"acme", b"../x")]
    for value in garbage:
        assert policy.apply_write_key(value) is Applied.UNREADABLE
        assert policy.apply_workspace(value) is Applied.UNREADABLE
    assert policy.apply_write_key(None) is Applied.TOMBSTONE
    assert policy.apply_workspace(None) is Applied.TOMBSTONE
    assert policy.kept_out == {
        (write_keys.NAME, Applied.UNREADABLE): len(garbage),
        (write_keys.NAME, Applied.TOMBSTONE): 1,
        (workspaces.NAME, Applied.UNREADABLE): len(garbage),
        (workspaces.NAME, Applied.TOMBSTONE): 1,
    }
    known, workspace = policy.write_key("known"), policy.workspace("acme")
    assert known is not None
    assert known.state is KeyState.REVOKED
    assert workspace is not None
    assert workspace.state is WorkspaceState.CLOSED


def mutate(at: int, replacement: bytes) -> bytes:
    record = bytearray(key_record(seq=9))
    at %= len(record)
    record[at : at + 1] = replacement
    return bytes(record)


@settings(deadline=None)
@given(st.binary(max_size=60) | st.builds(mutate, st.integers(0, 999), st.binary(max_size=2)))
def test_no_record_raises_or_brings_a_key_back(value: bytes) -> None:
    policy = Policy()
    policy.apply_write_key(key_record(state=KeyState.REVOKED))
    policy.apply_write_key(value)
    policy.apply_workspace(value)
    known = policy.write_key("known")
    assert known is not None
    assert known.state is KeyState.REVOKED


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"key": "k" * 128},
        {"key": "!~"},
        {"key": "k" * 129},
        {"key": ""},
        {"key": "with space"},
        {"key": "cl\u00e9"},
        {"key": "bell\x07"},
        {"key": "known\n"},
        {"workspace": "new"},
        {"workspace": "_platform"},
        {"source": "a/../b"},
        {"state": "retiring"},
        {"state": "retiring", "until": NOW},
        {"state": "gone"},
        {"reason": "r" * 1001},
        {"seq": "7"},
        {"later": {"state": "active"}},
        {HIDDEN: {}},
        {"v": 2},
        {"v": True},
        {"v": 1.0},
    ],
)
@pytest.mark.parametrize("padding", [b"", b" " * write_keys.WriteKey.max_bytes])
def test_a_key_is_taken_where_the_codec_takes_it_and_as_the_codec_reads_it(
    changes: dict[str, object], padding: bytes
) -> None:
    """Most records are decoded by a quicker way than the codec's."""
    policy = Policy()
    policy.apply_write_key(key_record("first"))  # from now on its workspace and source are known
    data = json.dumps({**json.loads(key_record("second")), **changes}).encode() + padding
    try:
        wanted = write_keys.codec.decode(data)
    except Poison:
        assert policy.apply_write_key(data) is Applied.UNREADABLE
        assert len(policy) == 1
        return
    assert policy.apply_write_key(data) is Applied.APPLIED
    known = policy.write_key(wanted.key)
    assert known is not None
    assert (known.workspace, known.source, known.state, known.until, known.seq) == (
        wanted.workspace,
        wanted.source,
        wanted.state,
        wanted.until,
        wanted.seq,
    )


def test_names_are_shared_by_the_keys_that_use_them() -> None:
    policy = Policy()
    policy.apply_write_key(key_record("one"))
    policy.apply_write_key(key_record("two"))
    one, two = policy.write_key("one"), policy.write_key("two")
    assert one is not None
    assert two is not None
    assert one.workspace is two.workspace
    assert one.source is two.source


def test_a_workspace_whose_newest_record_is_unreadable_is_in_doubt_until_it_comes_again() -> None:
    policy = Policy()
    policy.apply_workspace(workspace_record(seq=4), b"acme")
    for bad in (b"garbage", None):
        policy.apply_workspace(bad, b"acme")
        assert policy.in_doubt == {"acme"}
        policy.apply_workspace(workspace_record(seq=3), b"acme")  # older: it may have been on its way
        assert policy.in_doubt == {"acme"}
        policy.apply_workspace(workspace_record(seq=4), b"acme")
        assert not policy.in_doubt
    policy.apply_workspace(b"garbage", b"acme")
    policy.apply_workspace(workspace_record(seq=5), b"acme")
    assert not policy.in_doubt


def test_garbage_under_names_that_nobody_has_fills_no_memory() -> None:
    policy = Policy()
    for number in range(100):
        policy.apply_workspace(b"garbage", b"invented-%d" % number)
    policy.apply_workspace(b"garbage", None)
    policy.apply_workspace(b"garbage", b"\xff")
    assert not policy.in_doubt
