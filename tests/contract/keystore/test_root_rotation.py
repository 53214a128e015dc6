"""The rotation of root keys: either opens while both wrap, and it may be killed at every request."""

from collections.abc import Sequence

import pytest

from tests.contract.keystore.world import NEIGHBOUR, NOW, UNIT, bodies, fast, patient, replicas, worker
from workers.errors import Fatal, Retryable
from workers.sealing.format import Sealed
from workers.sealing.replicas import Replicas
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.rotate_root import RootPass, rewrap_all
from workers.sealing.rows import Row, WorkspaceRow, decode, unit_row, workspace_row
from workers.sealing.survey import standing
from workers.sealing.withdraw import disable, enable, tombstone
from workers.store.faults import Fault, Faults
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

OLD, NEW = FileRoot(b"r" * 32), FileRoot(b"n" * 32)
RIVAL = UNIT._replace(workspace="rival")
ONCE = Retry(attempts=1)


def pair() -> list[MemoryStore]:
    return [MemoryStore(name, versioned=True, faults=Faults(0)) for name in ("first", "second")]


async def turned(stores: Sequence[MemoryStore], *roots: FileRoot, retry: Retry | None = None) -> RootPass:
    return await rewrap_all(replicas(stores), Roots(roots), retry=retry or fast(), now=lambda: NOW)


async def roots_of(store: MemoryStore, workspace: str) -> set[str]:
    name = workspace_row(workspace)
    row = decode((await store.get(name)).body, name, name)
    assert isinstance(row, WorkspaceRow)
    [key] = row.keys
    return set(key.wrapped)


async def opens(stores: Sequence[MemoryStore], sealed: Sealed, *roots: FileRoot) -> bool:
    key = await patient(worker(stores, root=roots[0]), UNIT, create=False)
    return key.open(*sealed, "one") == b"plain"


async def test_an_old_root_is_replaced_in_two_steps() -> None:
    stores = pair()
    sealed = (await patient(worker(stores), UNIT)).seal(b"plain", "one")
    await patient(worker(stores), RIVAL)
    units = await bodies(stores, unit_row(UNIT))
    assert await turned(stores, OLD, NEW) == RootPass(workspaces=2, rewrapped=2, tombstones=0)
    assert await turned(stores, OLD, NEW) == RootPass(workspaces=2, rewrapped=0, tombstones=0)
    for root in (OLD, NEW):
        assert await opens(stores, sealed, root)
    assert await turned(stores, NEW) == RootPass(workspaces=2, rewrapped=2, tombstones=0)
    assert await opens(stores, sealed, NEW)
    with pytest.raises(Fatal, match=OLD.fingerprint):
        await opens(stores, sealed, OLD)
    for store in stores:
        assert await roots_of(store, "acme") == await roots_of(store, "rival") == {NEW.fingerprint}
    assert await bodies(stores, unit_row(UNIT)) == units


async def test_a_root_that_opens_nothing_changes_nothing() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    before = await bodies(stores, workspace_row("acme"))
    with pytest.raises(Fatal, match=NEW.fingerprint):
        await turned(stores, NEW)
    assert await bodies(stores, workspace_row("acme")) == before


@pytest.mark.parametrize("fault", [Fault.TIMED_OUT, Fault.LOST_RESPONSE], ids=lambda fault: fault.name)
@pytest.mark.parametrize("broken", [0, 1], ids=["first", "second"])
async def test_killed_at_any_request_it_is_gone_on_with(fault: Fault, broken: int) -> None:
    skip, struck = 0, True
    while struck:
        stores = pair()
        sealed = (await patient(worker(stores), UNIT)).seal(b"plain", "one")
        await patient(worker(stores), RIVAL)
        operation = "put" if fault is Fault.LOST_RESPONSE else "*"
        rule = stores[broken].faults.add(fault, operation=operation, skip=skip)
        try:
            await turned(stores, OLD, NEW, retry=ONCE)
        except Retryable:
            await turned(stores, OLD, NEW, retry=ONCE)
        struck, skip, rule.times = rule.hits > 0, skip + 1, 0
        for root in (OLD, NEW):
            assert await opens(stores, sealed, root)
        for store in stores:
            assert await roots_of(store, "rival") == {OLD.fingerprint, NEW.fingerprint}
    assert skip > 2


async def test_a_workspace_shredded_meanwhile_stays_shredded() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    name = workspace_row("acme")

    class ShreddingFirst(Replicas):
        async def changed(self, name: str, edit: object) -> Row | None:
            await tombstone(replicas(stores), [name], NOW)
            return await super().changed(name, edit)  # type: ignore[arg-type]  # as it came

    shredding = ShreddingFirst(stores, requests=8)
    found = await rewrap_all(shredding, Roots([OLD, NEW]), retry=fast(), now=lambda: NOW)
    assert found == RootPass(workspaces=1, rewrapped=0, tombstones=1)
    for body in await bodies(stores, name):
        assert b'"keys":[]' in body


async def test_another_change_in_between_is_not_undone() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    await patient(worker(stores), NEIGHBOUR)
    name = workspace_row("acme")

    class DisablingFirst(Replicas):
        disabled = False

        async def changed(self, name: str, edit: object) -> Row | None:
            if not self.disabled:
                self.disabled = True
                await disable(replicas(stores), [name], NOW)
            return await super().changed(name, edit)  # type: ignore[arg-type]  # as it came

    disabling = DisablingFirst(stores, requests=8)
    found = await rewrap_all(disabling, Roots([OLD, NEW]), retry=fast(), now=lambda: NOW)
    assert found == RootPass(workspaces=1, rewrapped=1, tombstones=0)
    assert (await standing(replicas(stores), "acme", fast())).state == "disabled"
    await enable(replicas(stores), [name], NOW)
    await patient(worker(stores, root=NEW), UNIT, create=False)


async def test_a_root_that_does_not_wrap_all_is_told() -> None:
    stores = pair()
    await patient(worker(stores), UNIT)
    both = [OLD.fingerprint, NEW.fingerprint]
    before = await standing(replicas(stores), "acme", fast(), both)
    assert before.remarks == f"root key {NEW.fingerprint} does not wrap it"
    await turned(stores, OLD, NEW)
    assert (await standing(replicas(stores), "acme", fast(), both)).remarks == ""
