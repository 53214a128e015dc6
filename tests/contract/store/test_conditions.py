"""Conditional writes: what the ledger stands on."""

import asyncio
from collections.abc import Sequence

import pytest

from workers.store.port import IF_ABSENT, Condition, Conflict, IfMatch, PreconditionFailed, Store
from workers.store.proof import prove

WRITERS = 20


async def test_a_free_name_is_taken_once(store: Store) -> None:
    etag = await store.put("object", b"first", condition=IF_ABSENT)
    with pytest.raises(PreconditionFailed, match=f"{store.name}/object"):
        await store.put("object", b"second", condition=IF_ABSENT)
    with pytest.raises(PreconditionFailed):
        await store.put("object", b"first", condition=IF_ABSENT)  # the same bytes are no excuse
    got = await store.get("object")
    assert (got.body, got.etag) == (b"first", etag)


async def test_a_deleted_name_is_free_again(store: Store) -> None:
    await store.put("object", b"first", condition=IF_ABSENT)
    await store.delete(["object"])
    await store.put("object", b"second", condition=IF_ABSENT)
    assert (await store.get("object")).body == b"second"


async def test_if_match_replaces_only_what_was_read(store: Store) -> None:
    first = await store.put("object", b"first")
    second = await store.put("object", b"second", condition=IfMatch(first))
    with pytest.raises(PreconditionFailed):
        await store.put("object", b"third", condition=IfMatch(first))
    got = await store.get("object")
    assert (got.body, got.etag) == (b"second", second)


async def test_if_match_of_nothing_is_refused(store: Store) -> None:
    with pytest.raises(PreconditionFailed, match="object"):
        await store.put("object", b"x", condition=IfMatch('"d41d8cd98f00b204e9800998ecf8427e"'))
    assert [stat.key async for stat in store.list("")] == []


async def race(store: Store, condition: Condition) -> tuple[Sequence[bytes], bytes]:
    """What the writers that were told they won had sent, and what is stored."""
    bodies = [b"%d" % writer for writer in range(WRITERS)]

    async def write(body: bytes) -> bytes | None:
        try:
            await store.put("object", body, condition=condition)
        except (PreconditionFailed, Conflict):
            return None
        return body

    outcomes = await asyncio.gather(*(write(body) for body in bodies))
    return [body for body in outcomes if body is not None], (await store.get("object")).body


async def test_of_twenty_writers_of_a_free_name_one_wins(store: Store) -> None:
    winners, stored = await race(store, IF_ABSENT)
    assert winners == [stored]


async def test_of_twenty_writers_over_one_object_one_wins(store: Store) -> None:
    winners, stored = await race(store, IfMatch(await store.put("object", b"before")))
    assert winners == [stored]


async def test_the_store_proves_itself_and_nothing_is_left(store: Store) -> None:
    await prove(store)
    assert [stat.key async for stat in store.list("")] == []
