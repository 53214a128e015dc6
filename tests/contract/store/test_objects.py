"""What is put is got: bytes, ranges, metadata, names."""

import hashlib

import pytest

from workers.store.port import NotFound, Store

BODY = b"0123456789"
AFTER = "\U0001f601/after"  # all names below
NAMES = [
    "data/ws=a_b-C/src=s.1/day=2026-11-25/x.zst",
    "sp ace",
    "ü/€/😀",
    "a+b&c=d?e#f%20g",
    "quote'\"<>;,:@!$*()[]{}|^`~",
]


def md5_of(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@pytest.mark.parametrize("size", [0, 1, 20_000, 1 << 20, (1 << 20) + 1, 9 << 20])
async def test_an_object_comes_back_as_it_was_put(store: Store, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    etag = await store.put("some/object", body)
    got = await store.get("some/object")
    assert got.body == body
    assert got.size == size
    assert etag == got.etag == md5_of(body)


async def test_metadata_comes_back_as_it_was_put(store: Store) -> None:
    metadata = {
        "x-amz-i": "q83vEjRWeJA=",
        "x-amz-t": '{"a":"one  two", "b":"/data/ws=1"}',
        "long": "x" * 900,
    }
    await store.put("object", BODY, metadata=metadata)
    assert dict((await store.get("object")).metadata) == metadata
    assert dict((await store.get("object", start=2, length=1)).metadata) == metadata


@pytest.mark.parametrize(
    "metadata",
    [
        {"Upper": "x"},
        {"a": "line\r\nx-amz-acl: public-read"},
        {"a": "é"},
        {"a": " padded"},
        {"a": "x" * 2048},
    ],
    ids=["upper case", "another header", "not ASCII", "space at its end", "too long"],
)
async def test_metadata_that_s3_would_change_is_refused(store: Store, metadata: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        await store.put("object", BODY, metadata=metadata)
    with pytest.raises(NotFound):
        await store.get("object")


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (7, None, b"789"),
        (9, 1, b"9"),
        (6, 100, b"6789"),
        (0, 10, BODY),
        (10, 1, b""),
        (10, None, b""),
        (500, 20, b""),
        (4, 0, b""),
    ],
)
async def test_a_range_holds_those_bytes_and_tells_of_the_whole(
    store: Store, start: int, length: int | None, expected: bytes
) -> None:
    await store.put("object", BODY, metadata={"a": "b"})
    got = await store.get("object", start=start, length=length)
    assert got.body == expected
    assert (got.size, got.etag, dict(got.metadata)) == (len(BODY), md5_of(BODY), {"a": "b"})


async def test_a_range_of_an_empty_object_is_empty(store: Store) -> None:
    await store.put("object", b"")
    assert (await store.get("object", start=0, length=1)).body == b""


async def test_stat_tells_size_etag_and_time(store: Store) -> None:
    etag = await store.put("object", BODY)
    stat = await store.stat("object")
    assert (stat.key, stat.size, stat.etag) == ("object", len(BODY), etag)
    assert [listed async for listed in store.list("object")] == [stat]


async def test_what_is_not_there_is_not_found_by_name(store: Store) -> None:
    await store.put("folder/object", BODY)
    for missing in ("other", "folder"):
        with pytest.raises(NotFound, match=f"{store.name}/{missing}"):
            await store.get(missing)
        with pytest.raises(NotFound, match=f"{store.name}/{missing}"):
            await store.get(missing, start=3, length=1)
        with pytest.raises(NotFound, match=f"{store.name}/{missing}"):
            await store.stat(missing)


@pytest.mark.parametrize("key", NAMES)
async def test_any_name_holds_its_object(store: Store, key: str) -> None:
    etag = await store.put(key, BODY)
    assert (await store.get(key)).etag == etag
    assert [stat.key async for stat in store.list("")] == [key]
    assert await store.delete([key]) == {}
    assert [stat.key async for stat in store.list("")] == []


@pytest.mark.parametrize("key", NAMES)
async def test_any_name_has_versions_that_can_be_purged(versioned: Store, key: str) -> None:
    await versioned.put(key, BODY)
    await versioned.put(AFTER, BODY)
    await versioned.delete([key])
    found = [one async for one in versioned.versions("") if one.key != AFTER]
    assert [(one.key, one.delete_marker) for one in found] == [(key, True), (key, False)]
    assert [one.key async for one in versioned.versions("", after=key)] == [AFTER]
    assert await versioned.purge(found) == {}
    assert [one.key async for one in versioned.versions("")] == [AFTER]


async def test_a_put_without_condition_replaces(store: Store) -> None:
    first = await store.put("object", BODY, metadata={"a": "b"})
    second = await store.put("object", b"other")
    got = await store.get("object")
    assert first != second
    assert (got.body, got.etag, dict(got.metadata)) == (b"other", second, {})


async def test_a_bucket_without_rules_deletes_nothing_by_itself(store: Store) -> None:
    assert list(await store.expiring()) == []
