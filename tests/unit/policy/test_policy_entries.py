"""Names and bytes of policy chains are formats: they never change, and what is not of them is refused."""

import json

import msgspec
import pytest

from workers.errors import Fatal
from workers.ledger import policy_entries as entries
from workers.ledger.policy_entries import Change, FoldObject, PolicyEntry, Published

ENTRY = PolicyEntry(
    topic="write-keys",
    shard=7,
    seq=3,
    previous="ab" * 32,
    attempt="one",
    changes=(
        Change(
            key="k1",
            who="ann@host",
            host="host",
            when=5,
            why="leaked",
            before=msgspec.Raw(b"null"),
            after=msgspec.Raw(b'{"state":"active"}'),
            effective_from=5,
        ),
    ),
)
BYTES = (
    b'{"attempt":"one","changes":[{"effective_from":5,"from":null,"host":"host","key":"k1",'
    b'"to":{"state":"active"},"when":5,"who":"ann@host","why":"leaked"}],"format":1,'
    b'"previous":"' + b"ab" * 32 + b'","seq":3,"shard":7,"topic":"write-keys"}'
)


def test_the_names_are_these() -> None:
    assert entries.entry_name("write-keys", 7, 3) == "policy/v1/write-keys/007/000000000003.json"
    assert entries.fold_name("write-keys", 7, 64) == "policy-folds/v1/write-keys/007/000000000064.json"
    assert entries.published_name("write-keys", 7) == "policy-published/v1/write-keys/007.json"


def test_an_entry_has_these_bytes() -> None:
    assert entries.encode(ENTRY) == BYTES
    assert entries.encode(entries.decode_entry(BYTES, "write-keys", 7, 3)) == BYTES


def test_a_keys_shard_never_changes() -> None:
    assert [entries.shard_of(key) for key in ("acme", "k1", "é")] == [
        160,
        136,
        83,
    ]  # the 8th byte of each SHA-256
    shards = [entries.shard_of(f"key-{n}") for n in range(25_600)]
    assert set(shards) == set(range(256))
    assert max(shards.count(shard) for shard in set(shards)) < 160  # 100 on average


def test_a_name_says_its_place_and_nothing_else_is_one() -> None:
    assert entries.place_of("policy/v1/write-keys/007/000000000003.json", "write-keys") == (7, 3)
    for name in (
        "policy/v1/write-keys/007/3.json",
        "policy/v1/write-keys/7/000000000003.json",
        "policy/v1/write-keys/007/000000000003.json.bak",
        "policy/v1/write-keys/007/",
        "policy/v1/workspaces/007/000000000003.json",
    ):
        with pytest.raises(Fatal, match="no entry"):
            entries.place_of(name, "write-keys")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "no entry"),
        (b"[]", "no entry"),
        (BYTES.replace(b'"format":1', b'"format":2'), "format is 2"),
        (BYTES.replace(b'"seq":3', b'"seq":4'), "another place"),
        (BYTES.replace(b'"shard":7', b'"shard":8'), "another place"),
        (BYTES.replace(b"write-keys", b"workspaces"), "another place"),
    ],
)
def test_what_is_not_the_entry_of_its_place_stops_everything(body: bytes, why: str) -> None:
    with pytest.raises(Fatal, match=why) as fatal:
        entries.decode_entry(body, "write-keys", 7, 3)
    assert "policy/v1/write-keys/007/000000000003.json" in fatal.value.message


def test_a_fold_or_a_mark_that_can_not_be_read_is_as_if_it_were_not_there() -> None:
    fold = entries.encode(FoldObject(topic="write-keys", shard=7, seq=64, digest="d", states=()))
    assert entries.decode_fold(fold, "write-keys", 7, 64) is not None
    assert entries.decode_fold(fold, "write-keys", 7, 128) is None
    assert entries.decode_fold(fold.replace(b'"format":1', b'"format":2'), "write-keys", 7, 64) is None
    assert entries.decode_fold(b"{", "write-keys", 7, 64) is None
    mark = entries.encode(Published(seq=12))
    assert json.loads(mark) == {"format": 1, "seq": 12}
    assert entries.decode_published(mark) == 12
    assert entries.decode_published(mark.replace(b'"format":1', b'"format":2')) == 0
    assert entries.decode_published(b"12") == 0
