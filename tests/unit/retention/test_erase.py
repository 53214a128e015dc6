"""All versions go, of these keys and no others, whatever the server makes of it; what stays is said."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from tests.unit.ledger.world import retry
from workers.retention.erase import AT_ONCE, Cause, cause_of, erase, erase_all
from workers.retention.pace import Pace
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.port import Unavailable, Version

FOLDER = "data/ws=acme/src=web/day=2026-10-01/accepted/"
KEYS = [f"{FOLDER}{number:05d}" for number in range(5)]


async def filled(store: MemoryStore, keys: Sequence[str] = KEYS) -> MemoryStore:
    for key in keys:
        await store.put(key, b"sealed")
    return store


async def there(store: MemoryStore) -> list[str]:
    return [version.key async for version in store.versions("")]


@pytest.mark.parametrize("versioned", [False, True])
async def test_these_go_and_their_neighbours_stay(versioned: bool) -> None:
    store = await filled(MemoryStore(versioned=versioned))
    neighbour = KEYS[0] + "0"
    await store.put(neighbour, b"kept")
    erased = await erase(store, KEYS[:3], retry())
    assert (erased.versions, erased.delete_markers, erased.left, erased.clean) == (3, 0, 0, True)
    assert sorted(await there(store)) == sorted([neighbour, *KEYS[3:]])


async def test_every_version_and_marker_and_unfinished_upload_goes() -> None:
    store = await filled(await filled(MemoryStore(versioned=True)))
    await store.delete(KEYS[:2])
    store.uploads = [KEYS[0], KEYS[4], "data/another"]
    erased = await erase(store, KEYS, retry())
    assert (erased.versions, erased.delete_markers, erased.uploads) == (10, 2, 2)
    assert await there(store) == []
    assert store.uploads == ["data/another"]


async def test_what_is_gone_already_is_no_fault() -> None:
    erased = await erase(MemoryStore(versioned=True), KEYS, retry())
    assert erased.clean
    assert erased.versions == 0


async def test_a_thousand_a_request() -> None:
    keys = [f"{FOLDER}{number:05d}" for number in range(2 * AT_ONCE + 1)]
    store = await filled(MemoryStore(versioned=True), keys)
    store.requests.clear()
    assert (await erase(store, keys, retry())).versions == len(keys)
    assert store.requests["delete"] == 3


class Listed(MemoryStore):
    """Notes where each listing begins."""

    def __init__(self) -> None:
        super().__init__("listed", versioned=True)
        self.begun: list[str] = []

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        self.begun.append(after)
        async for version in super().versions(prefix, after=after):
            yield version


MANY = [f"{FOLDER}{number:05d}" for number in range(3 * AT_ONCE)]


async def test_where_all_goes_no_listing_begins_behind_a_marker() -> None:
    store = Listed()
    await filled(store, MANY)
    assert (await erase(store, MANY, retry())).clean
    # a listing a page, one that finds no more, and the look behind it: none goes on where another ended
    assert store.begun == [""] * (3 + 1 + 1)


async def test_what_lies_before_it_is_not_listed_again_and_again() -> None:
    """Of others', in front: each page of theirs is read once a round, and not once a deletion."""
    store = Listed()
    others = [f"{FOLDER}.{number:05d}" for number in range(3 * AT_ONCE)]
    await filled(store, [*others, *MANY])
    erased = await erase(store, MANY, retry())
    assert (erased.clean, erased.versions) == (True, len(MANY))
    assert await there(store) == others
    assert len(store.begun) <= 5
    assert store.begun.count("") == 2 + 1  # a round, the look behind it, and this test's


async def test_of_a_key_with_many_locked_versions_the_others_go() -> None:
    store = Locked(KEYS[0], "AccessDenied: WORM")
    for _ in range(2 * AT_ONCE):
        await store.put(KEYS[0], b"locked")
    await filled(store, KEYS[1:])
    erased = await erase(store, KEYS, retry())
    assert (erased.left, erased.versions, erased.cause) == (2 * AT_ONCE, len(KEYS) - 1, Cause.OBJECT_LOCK)


async def test_a_server_that_lies_is_not_believed_for_ever() -> None:
    store = Lying("lying", versioned=True)
    await filled(store, MANY)
    erased = await erase(store, MANY, retry())
    assert (erased.clean, erased.left, erased.versions) == (False, len(MANY), 0)
    assert store.requests["versions"] < 100


class Lying(MemoryStore):
    """Says of all that it is deleted, and keeps it."""

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        return {}


async def test_groups_are_counted_apart_in_one_pass() -> None:
    store = await filled(MemoryStore(versioned=True), [f"{FOLDER}{number:05d}" for number in range(30)])
    await store.put(f"{FOLDER}00003", b"again")
    store.requests.clear()
    groups = [[f"{FOLDER}{number:05d}" for number in range(at, at + 10)] for at in (0, 10)]
    first, second = await erase_all(store, groups, retry(), Pace())
    assert (first.versions, second.versions) == (11, 10)
    assert len(await there(store)) == 10
    # two looks for uploads, two listings, one delete: not more for more groups
    assert (store.requests["versions"], store.requests["delete"]) == (3, 1)


class Paged(MemoryStore):
    """Breaks off a listing, once, in the middle of the versions of a key."""

    def __init__(self, at: int) -> None:
        super().__init__("paged", versioned=True)
        self.breaks_at: int | None = at

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        count = 0
        async for version in super().versions(prefix, after=after):
            if count == self.breaks_at:
                self.breaks_at = None
                raise Unavailable("versions: connection lost")
            count += 1
            yield version


@pytest.mark.parametrize("at", range(15))
async def test_a_listing_that_breaks_off_goes_on_and_counts_nothing_twice(at: int) -> None:
    store = Paged(at)
    await filled(await filled(await filled(store)))
    erased = await erase(store, KEYS, retry())
    assert (erased.versions, erased.left) == (15, 0)
    assert await there(store) == []


class Slow(MemoryStore):
    """Answers so many deletes with SlowDown of each key, as S3 does within a 200."""

    def __init__(self, times: int) -> None:
        super().__init__("slow", versioned=True)
        self.times = times

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        if self.times:
            self.times -= 1
            return {each.key: "SlowDown: Please reduce your request rate." for each in versions}
        return await super().purge(versions)


async def test_a_bucket_that_is_throttled_is_asked_less_at_once() -> None:
    store, pace = await filled(Slow(2)), Pace(first=8)
    [erased] = await erase_all(store, [KEYS], retry(), pace)
    assert erased.clean
    assert erased.kept == {}
    assert pace.allowed == 2


async def test_a_refused_request_slows_down_and_success_speeds_up() -> None:
    pace = Pace(first=4, most=6)
    with pytest.raises(Unavailable):
        async with pace.turn():
            raise Unavailable("SlowDown")
    assert pace.allowed == 2
    for _ in range(100):
        async with pace.turn():
            pass
    assert pace.allowed == 6


async def test_no_more_requests_are_under_way_than_are_allowed() -> None:
    pace, under_way, most = Pace(first=2, most=2), 0, 0

    async def request() -> None:
        nonlocal under_way, most
        async with pace.turn():
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(request() for _ in range(20)))
    assert most == 2


PASSING = [
    Fault.SLOW_DOWN, Fault.SERVER_ERROR, Fault.TIMED_OUT, Fault.LOST_RESPONSE, Fault.KEPT, Fault.UNAVAILABLE,
]  # fmt: skip


@pytest.mark.parametrize("fault", PASSING)
async def test_what_passes_is_tried_again(fault: Fault) -> None:
    store = await filled(MemoryStore(versioned=True))
    store.faults.add(fault, operation="delete", times=3)
    erased = await erase(store, KEYS, retry())
    assert erased.clean
    assert erased.versions == len(KEYS)
    assert erased.kept == {}
    assert await there(store) == []


@pytest.mark.parametrize("operation", ["versions", "list"])
async def test_a_listing_that_fails_is_made_again(operation: str) -> None:
    store = await filled(MemoryStore(versioned=True))
    store.faults.add(Fault.SLOW_DOWN, operation=operation, times=2)
    assert (await erase(store, KEYS, retry())).clean
    assert await there(store) == []


class Locked(MemoryStore):
    """Keeps one key, for `why`."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__("locked", versioned=True)
        self.locked = {key: why}
        self.purges = 0

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        self.purges += 1
        kept = await super().purge([version for version in versions if version.key not in self.locked])
        return {**kept, **{each.key: self.locked[each.key] for each in versions if each.key in self.locked}}


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        ("AccessDenied: Access Denied because object protected by object lock.", Cause.OBJECT_LOCK),
        ("InvalidRequest: Object is WORM protected and cannot be overwritten", Cause.OBJECT_LOCK),
        ("AccessDenied: Access Denied", Cause.DENIED),
    ],
)
async def test_what_no_try_mends_is_told_and_not_tried_for_ever(why: str, cause: Cause) -> None:
    store = Locked(KEYS[2], why)
    await filled(store)
    erased = await erase(store, KEYS, retry())
    assert (erased.clean, erased.left, erased.versions, erased.cause) == (False, 1, 4, cause)
    assert erased.kept == {KEYS[2]: why}
    assert await there(store) == [KEYS[2]]
    assert store.purges == 1
    store.locked.clear()
    assert (await erase(store, KEYS, retry())).clean


async def test_what_the_server_keeps_for_no_reason_ends_too() -> None:
    store = Locked(KEYS[2], "InternalError: We encountered an internal error")
    await filled(store)
    erased = await erase(store, KEYS, retry())
    assert (erased.clean, erased.cause) == (False, Cause.UNAVAILABLE)
    assert 1 < store.purges < 10


def test_the_word_of_a_server_is_told_apart() -> None:
    assert cause_of("SlowDown: Please reduce your request rate.") is Cause.UNAVAILABLE
