"""Values of topics come back as they went, unknown fields included, and nothing else gets in."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topics import workspaces, write_keys
from topics.codec import HIDDEN, Codec
from topics.registry import topics
from topics.workspaces import Source, SourceType, Workspace
from topics.write_keys import KeyState, WriteKey
from workers.errors import Poison

KEY = WriteKey(
    key="k" * 32, workspace="acme", source="web", state=KeyState.ACTIVE, changed_at=1, shard=3, seq=7
)
WORKSPACE = Workspace(
    id="acme",
    plan="gold",
    sources=(Source(id="web", allowed_origins=("shop.example",)), Source(id="api", type=SourceType.SERVER)),
    retention_days=30,
    switches={"quarantine": True},
    effective_from=5,
    changed_at=1,
    shard=3,
    seq=7,
)


def record(value: WriteKey | Workspace, **changes: object) -> bytes:
    codec: Codec[Any] = write_keys.codec if isinstance(value, WriteKey) else workspaces.codec
    return json.dumps({**json.loads(codec.encode(value)), **changes}).encode()


@pytest.mark.parametrize(("codec", "value"), [(write_keys.codec, KEY), (workspaces.codec, WORKSPACE)])
def test_a_value_comes_back_as_it_went(codec: Codec[Any], value: Any) -> None:
    assert codec.decode(codec.encode(value)) == value


def outcome(read: Callable[[bytes], Any], data: bytes) -> Any:
    try:
        return read(data)
    except Poison:
        return Poison


def without_unknown(value: Any) -> Any:
    if value is Poison:
        return value
    if isinstance(value, Workspace):
        bare = tuple(msgspec.structs.replace(source, extra={}) for source in value.sources)
        value = msgspec.structs.replace(value, sources=bare)
    return msgspec.structs.replace(value, extra={})


def assert_read_as_decoded(codec: Codec[Any], data: bytes) -> None:
    assert without_unknown(outcome(codec.read, data)) == without_unknown(outcome(codec.decode, data))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"v": 2},
        {"v": 1.0},
        {"v": None},
        {"later": {"v": 1}},
        {HIDDEN: {}},
        {HIDDEN: {"later": 1}},
        {"sources": [{"id": "web", HIDDEN: {"a": 1}}]},
        {"sources": [{"id": "web", "later": 1}]},
        {"sources": [{"id": "web"}, {"id": "web"}]},
        {"state": "retiring"},
        {"id": "_platform", "key": "with space"},
    ],
)
def test_reading_differs_from_decoding_by_what_is_unknown_alone(changes: dict[str, object]) -> None:
    for codec, value in ((write_keys.codec, KEY), (workspaces.codec, WORKSPACE)):
        for spaces in (None, (",", ":")):
            data = json.dumps(json.loads(record(value, **changes)), separators=spaces).encode()
            assert_read_as_decoded(codec, data)
            assert_read_as_decoded(codec, data + b" " * Workspace.max_bytes)
            for cut in range(0, len(data), 7):
                assert_read_as_decoded(codec, data[:cut])


def test_names_on_the_wire_are_camel_case_and_nothing_of_ours_shows() -> None:
    assert set(json.loads(write_keys.codec.encode(KEY))) == {
        "v", "key", "workspace", "source", "state", "until", "changedAt", "reason", "shard", "seq",
    }  # fmt: skip


# numbers that a float or a 64-bit integer can't hold must come back digit by digit
UNKNOWN = b'{"big":123456789012345678901234567890,"exact":2.50,"nested":{"a":[null,"\\u00e9"]}}'


def test_unknown_fields_are_written_back_byte_for_byte() -> None:
    data = write_keys.codec.encode(KEY)[:-1] + b',"later":' + UNKNOWN + b"}"
    revoked = msgspec.structs.replace(write_keys.codec.decode(data), state=KeyState.REVOKED)
    written = write_keys.codec.encode(revoked)
    assert b'"later":' + UNKNOWN in written
    assert json.loads(written)["state"] == "revoked"


def test_unknown_fields_of_a_source_are_written_back_to_that_source() -> None:
    data = workspaces.codec.encode(WORKSPACE).replace(b'"id":"api"', b'"id":"api","later":' + UNKNOWN)
    changed = msgspec.structs.replace(workspaces.codec.decode(data), plan="free")
    sources = json.loads(workspaces.codec.encode(changed))["sources"]
    assert [source.get("later") for source in sources] == [None, json.loads(UNKNOWN)]
    assert UNKNOWN in workspaces.codec.encode(changed)


@pytest.mark.parametrize("name", ["extra", "HIDDEN", "nested", "version"])
def test_a_field_that_is_called_like_a_part_of_ours_is_unknown_like_any_other(name: str) -> None:
    value = write_keys.codec.decode(record(KEY, **{name: {"state": "revoked"}}))
    assert value.state is KeyState.ACTIVE
    assert json.loads(write_keys.codec.encode(value))[name] == {"state": "revoked"}


def test_unknown_fields_do_not_keep_the_whole_message_in_memory() -> None:
    value = write_keys.codec.decode(record(KEY, later=1))
    assert bytes(value.extra["later"]) == b"1"
    assert len(memoryview(value.extra["later"]).obj) == 1  # type: ignore[arg-type]  # obj is the buffer's owner


@pytest.mark.parametrize("version", ["2", "0", "1.0", '"1"', "null", "[]"])
def test_an_unknown_version_is_refused_by_name(version: str) -> None:
    data = write_keys.codec.encode(KEY).replace(b'"v":1', b'"v":' + version.encode())
    with pytest.raises(Poison, match="WriteKey of version"):
        write_keys.codec.decode(data)


def test_a_record_without_a_version_is_of_the_first() -> None:
    fields = json.loads(write_keys.codec.encode(KEY))
    del fields["v"]
    assert write_keys.codec.decode(json.dumps(fields).encode()) == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "gone"},
        {"state": None},
        {"state": "retiring"},  # and never ends
        {"key": ""},
        {"key": "with space"},
        {"key": "k" * 129},
        {"key": "clé"},
        {"workspace": "_platform"},
        {"workspace": "a/../b"},
        {"workspace": "a" * 65},
        {"workspace": "acme\n"},
        {"source": ""},
        {"until": "tomorrow"},
        {"seq": "7"},
        {"reason": "r" * 1001},
        {"later": "x" * WriteKey.max_bytes},
        {HIDDEN: {}},
    ],
)
def test_a_write_key_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Poison, match="not a WriteKey"):
        write_keys.codec.decode(record(KEY, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"retentionDays": 0},
        {"retentionDays": -1},
        {"retentionDays": 36_501},
        {"retentionDays": 1.5},
        {"sources": [{"id": "web"}, {"id": "web"}]},
        {"sources": [{"id": "_platform"}]},
        {"sources": [{"id": "web", "retentionDays": 0}]},
        {"sources": [{"id": "web", HIDDEN: {}}]},
        {"sources": [{"id": f"s{n}"} for n in range(1001)]},
        {"sources": {"web": {}}},
        {"allowedOrigins": [""]},
        {"allowedOrigins": ["a.example"] * 1001},
        {"legalHold": "yes"},
        {"switches": {"a": 1}},
        {"plan": ""},
        {"state": "half"},
    ],
)
def test_a_workspace_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Poison, match="not a Workspace"):
        workspaces.codec.decode(record(WORKSPACE, **changes))


def test_what_a_person_made_up_is_checked_before_it_is_written() -> None:
    assert write_keys.codec.checked(KEY) == write_keys.codec.encode(KEY)
    with pytest.raises(Poison, match="retentionDays"):
        workspaces.codec.checked(msgspec.structs.replace(WORKSPACE, retention_days=0))


ALL: list[tuple[Codec[Any], bytes]] = [
    (write_keys.codec, write_keys.codec.encode(KEY)),
    (workspaces.codec, workspaces.codec.encode(WORKSPACE)),
]


@pytest.mark.parametrize("codec", [codec for codec, _ in ALL])
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"{}",
        b"\xff\xfe",
        b'{"v":1,"key":"\xff"}',
        b'{"a":' * 10_000,
        b"[" * 100_000,
    ],
)
def test_garbage_is_poison_and_nothing_else(codec: Codec[Any], garbage: bytes) -> None:
    with pytest.raises(Poison):
        codec.decode(garbage)


@given(data=st.data())
def test_a_damaged_record_is_a_value_or_poison(data: st.DataObject) -> None:
    codec, encoded = data.draw(st.sampled_from(ALL))
    at = data.draw(st.integers(0, len(encoded) - 1))
    damaged = encoded[:at] + data.draw(st.binary(max_size=4)) + encoded[at + data.draw(st.integers(0, 4)) :]
    try:
        value = codec.decode(damaged)
    except Poison:
        return
    assert codec.decode(codec.encode(value)) == value


@given(
    st.dictionaries(
        st.text(max_size=8), st.recursive(st.integers() | st.text(max_size=5), st.lists), max_size=4
    )
)
def test_any_unknown_field_comes_back(unknown: dict[str, Any]) -> None:
    known = json.loads(write_keys.codec.encode(KEY))
    added = {name: value for name, value in unknown.items() if name not in known}
    data = json.dumps({**known, **added}).encode()
    assert json.loads(write_keys.codec.encode(write_keys.codec.decode(data))) == {**known, **added}


def test_a_value_of_the_largest_size_fits_its_topic() -> None:
    sizes = {spec.name: spec.max_message_bytes for spec in topics()}
    assert sizes["write-keys"] > WriteKey.max_bytes
    assert sizes["workspaces"] > Workspace.max_bytes
