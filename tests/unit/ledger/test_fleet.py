"""fleet.json: who may start with which root keys, and how the fleet's root keys change."""

import asyncio

import msgspec
import pytest

from tests.unit.ledger.world import retry
from workers.errors import Fatal, Retryable
from workers.ledger import fleet
from workers.ledger.names import FLEET
from workers.store.faults import Fault
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

A, B, C = "kms:a", "kms:b", "file:c"


def worker(*roots: str) -> fleet.Fleet:
    return fleet.of(roots, "cluster", "group")


async def begun(*roots: str) -> MemoryStore:
    store = MemoryStore()
    await fleet.enroll(store, worker(*roots), retry())
    return store


@pytest.mark.parametrize(
    ("has", "holds", "unknown"),
    [([A], [A], []), ([A], [A, B], [B]), ([A, B], [B, A], []), ([A], [B, C, A], [B, C])],
)
async def test_a_worker_with_all_root_keys_of_the_fleet_starts(
    has: list[str], holds: list[str], unknown: list[str]
) -> None:
    stored = await fleet.enroll(await begun(*has), worker(*holds), retry())
    assert stored == worker(*has)
    assert fleet.surplus(stored, holds) == unknown


@pytest.mark.parametrize(
    ("has", "holds", "named"),
    [([A], [B], [A, B]), ([A, B], [C], [A, B, C]), ([A, B], [A], [B]), ([A, B], [B, C], [A])],
)
async def test_a_worker_that_lacks_one_is_refused_and_told_which(
    has: list[str], holds: list[str], named: list[str]
) -> None:
    with pytest.raises(Fatal, match="STRONGROOM_KMS_KEYS") as refused:
        await fleet.enroll(await begun(*has), worker(*holds), retry())
    for root in named:
        assert root in refused.value.message


@pytest.mark.parametrize(("holds", "reads"), [([A], True), ([B, C], True), ([C], False)])
def test_who_only_opens_needs_any_root_key_of_the_fleet(holds: list[str], reads: bool) -> None:
    if reads:
        fleet.check_readable(worker(A, B), holds, "fleet.json")
    else:
        with pytest.raises(Fatal, match=C):
            fleet.check_readable(worker(A, B), holds, "fleet.json")


async def test_a_file_from_before_there_were_several_is_read() -> None:
    store = MemoryStore()
    await store.put(FLEET, b'{"cluster_id":"cluster","format":1,"group":"group","root_key":"kms:a"}')
    assert fleet.surplus(await fleet.enroll(store, worker(A, B), retry()), [A, B]) == [B]
    with pytest.raises(Fatal, match=B):
        await fleet.enroll(store, worker(B), retry())
    assert (await fleet.change_roots(store, [A, B], retry())).fingerprints == (A, B)


async def test_the_root_keys_change_and_nothing_else_does() -> None:
    store = await begun(A)
    for roots, first in (([A, B], A), ([B], B), ([B, C], B)):
        changed = await fleet.change_roots(store, roots, retry())
        assert changed == await fleet.stored_fleet(store, retry())
        assert (changed.fingerprints, changed.root_key) == (tuple(sorted(roots)), first)
        assert (changed.cluster_id, changed.group, changed.format) == ("cluster", "group", 1)
    await fleet.enroll(store, worker(B, C), retry())
    with pytest.raises(Fatal, match=A):
        await fleet.enroll(store, worker(A), retry())


async def test_a_change_whose_response_was_lost_is_found_done() -> None:
    store = await begun(A)
    store.faults.add(Fault.LOST_RESPONSE, operation="put", key=FLEET)
    changed = await fleet.change_roots(store, [B], retry())
    assert changed.fingerprints == (B,)
    assert await fleet.stored_fleet(store, retry()) == changed


async def test_changes_at_once_leave_one_of_them_whole() -> None:
    store = await begun(A)
    wanted = [[A, B], [B, C], [C]]
    await asyncio.gather(*(fleet.change_roots(store, roots, retry()) for roots in wanted))
    stored = await fleet.stored_fleet(store, retry())
    assert stored is not None
    assert sorted(stored.fingerprints) in [sorted(roots) for roots in wanted]


async def test_a_change_never_overwrites_what_it_did_not_read() -> None:
    store = await begun(A)
    get = store.get

    async def overtaken(key: str, **span: int) -> object:
        got = await get(key, **span)
        await store.put(FLEET, msgspec.json.encode(worker(C)))
        return got

    store.get = overtaken  # type: ignore[method-assign,assignment]  # another writes behind each read
    with pytest.raises(Retryable, match="changed meanwhile"):
        await fleet.change_roots(store, [B], Retry(attempts=1))
    store.get = get  # type: ignore[method-assign]  # as it was
    assert await fleet.stored_fleet(store, retry()) == worker(C)


async def test_a_change_to_what_is_there_writes_nothing() -> None:
    store = await begun(A, B)
    before = (await store.get(FLEET)).body
    store.faults.add(Fault.DENIED, operation="put", times=None)
    await fleet.change_roots(store, [B, A], Retry(attempts=1))
    assert (await store.get(FLEET)).body == before


async def test_there_is_nothing_to_change_before_the_first_worker() -> None:
    with pytest.raises(Fatal, match=r"fleet\.json is not there"):
        await fleet.change_roots(MemoryStore(), [A], retry())
