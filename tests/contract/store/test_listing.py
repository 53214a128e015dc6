"""Lists, deletions and versions."""

import asyncio

import pytest

from workers.store.port import IF_ABSENT, NotFound, Store, Version

MORE_THAN_A_PAGE = 1005


async def fill(store: Store, keys: list[str]) -> None:
    at_once = asyncio.Semaphore(32)

    async def put(key: str) -> None:
        async with at_once:
            await store.put(key, b"x")

    await asyncio.gather(*(put(key) for key in keys))


async def listed(store: Store, prefix: str = "", **bounds: object) -> list[str]:
    return [stat.key async for stat in store.list(prefix, **bounds)]  # type: ignore[arg-type] # after, limit


async def test_a_list_is_in_the_order_of_utf8_bytes(store: Store) -> None:
    keys = ["A", "Z", "a-b", "a.b", "a/1", "a/10", "a/2", "a0", "z", "é", "\uff5e", "\U0001f600"]
    assert sorted(keys, key=str.encode) == keys
    await fill(store, keys[::-1])
    assert await listed(store) == keys


async def test_a_list_begins_with_its_prefix_after_a_name(store: Store) -> None:
    await fill(store, ["a/1", "a/2", "a/3", "ab/1", "b/1"])
    assert await listed(store, "a/") == ["a/1", "a/2", "a/3"]
    assert await listed(store, "a") == ["a/1", "a/2", "a/3", "ab/1"]
    assert await listed(store, "a/", after="a/1") == ["a/2", "a/3"]
    assert await listed(store, "a/", after="a/15") == ["a/2", "a/3"]
    assert await listed(store, "a/", after="a/3") == []
    assert await listed(store, "c") == []


@pytest.mark.parametrize("limit", [0, 1, 2, 5])
async def test_a_list_ends_at_its_limit(store: Store, limit: int) -> None:
    keys = ["a/1", "a/2", "a/3", "b/1"]
    await fill(store, keys)
    assert await listed(store, limit=limit) == keys[:limit]


async def test_lists_and_deletions_go_on_over_a_page(store: Store) -> None:
    keys = [f"many/{number:05d}" for number in range(MORE_THAN_A_PAGE)]
    await fill(store, keys)
    assert await listed(store, "many/") == keys
    assert await listed(store, "many/", limit=1003) == keys[:1003]
    assert [version.key async for version in store.versions("many/")] == keys
    assert await store.delete(keys) == {}
    assert await listed(store) == []


async def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    await fill(store, ["here", "stays"])
    assert await store.delete(["here", "never/was"]) == {}
    assert await store.delete([]) == {}
    assert await listed(store) == ["stays"]


async def test_without_versions_each_object_is_its_only_one(store: Store) -> None:
    await store.put("a/object", b"first")
    await store.put("a/object", b"second!")
    assert [version async for version in store.versions("a/")] == [
        Version("a/object", "null", True, False, 7)
    ]


async def test_versions_and_delete_markers_are_kept_newest_first(versioned: Store) -> None:
    await versioned.put("a/object", b"1")
    await versioned.put("a/object", b"22")
    await versioned.delete(["a/object"])
    await versioned.put("b/object", b"333")
    found = [version async for version in versioned.versions("")]
    assert [(one.key, one.is_latest, one.delete_marker, one.size) for one in found] == [
        ("a/object", True, True, 0),
        ("a/object", False, False, 2),
        ("a/object", False, False, 1),
        ("b/object", True, False, 3),
    ]
    assert len({one.version_id for one in found}) == 4


async def test_versions_go_on_behind_a_key(store: Store, versioned: Store) -> None:
    for bucket, twice in ((store, 1), (versioned, 2)):
        for key in ("a/1", "a/2", "a/2", "a/3", "b/4"):
            await bucket.put(key, b"x")
        assert [found.key async for found in bucket.versions("a/", after="a/1")] == ["a/2"] * twice + ["a/3"]
        assert [found.key async for found in bucket.versions("a/", after="a/2")] == ["a/3"]
        assert not [found.key async for found in bucket.versions("a/", after="a/3")]


async def test_a_deleted_object_is_gone_from_all_but_its_versions(versioned: Store) -> None:
    await versioned.put("a/object", b"1", condition=IF_ABSENT)
    await versioned.delete(["a/object"])
    with pytest.raises(NotFound):
        await versioned.get("a/object")
    with pytest.raises(NotFound):
        await versioned.stat("a/object")
    assert await listed(versioned) == []


async def test_purged_versions_are_gone_and_the_newest_stays(versioned: Store) -> None:
    for body in (b"1", b"22", b"333"):
        await versioned.put("a/object", body)
    await versioned.put("b/object", b"b")
    old = [one async for one in versioned.versions("a/") if not one.is_latest]
    assert len(old) == 2
    assert await versioned.purge(old) == {}
    assert [(one.key, one.is_latest, one.size) async for one in versioned.versions("")] == [
        ("a/object", True, 3),
        ("b/object", True, 1),
    ]
    assert (await versioned.get("a/object")).body == b"333"
    assert await versioned.purge([]) == {}


async def test_an_object_is_gone_once_all_its_versions_and_markers_are_purged(versioned: Store) -> None:
    await versioned.put("a/object", b"1")
    await versioned.delete(["a/object"])
    assert await versioned.purge([one async for one in versioned.versions("")]) == {}
    assert [one async for one in versioned.versions("")] == []
    await versioned.put("a/object", b"2", condition=IF_ABSENT)


async def test_without_versions_the_only_one_can_be_purged(store: Store) -> None:
    await fill(store, ["gone", "stays"])
    assert await store.purge([Version("gone", "null", True, False, 4)]) == {}
    assert await listed(store) == ["stays"]
