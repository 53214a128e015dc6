"""What the rotation of a workspace's key promises over any one or two stores, real or in memory."""

from collections.abc import Callable, Sequence

import pytest

from tests.contract.keystore.world import (
    NEIGHBOUR,
    NOW,
    ROOT,
    UNIT,
    agree,
    bodies,
    fast,
    patient,
    replicas,
    worker,
)
from workers.by import By
from workers.intake.dispositions import Clock
from workers.sealing.key_events import What, events
from workers.sealing.refusals import KeyDisabled, KeyShredded, NoSuchKey
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.sealing.rotate import Pass, Rotation
from workers.sealing.rows import Row, State, UnitRow, WorkspaceRow, decode, unit_row, workspace_row
from workers.sealing.survey import standing
from workers.sealing.withdraw import disable, enable, tombstone
from workers.store.port import Store
from workers.store.retry import Retry

ROW, L1 = unit_row(UNIT), workspace_row("acme")
BY = By("ada", "desk", "a colleague left", NOW)
UNITS = [UNIT, NEIGHBOUR, UNIT._replace(source="app"), UNIT._replace(clock=Clock.QUARANTINE)]


async def at_once() -> None:
    """Nobody has anything cached: there is nothing to wait for."""


def rotation(stores: Sequence[Store], retry: Retry | None = None) -> Rotation:
    return Rotation(replicas(stores), Roots([ROOT]), "acme", retry=retry or fast(), now=lambda: NOW)


async def workspace_of(store: Store) -> WorkspaceRow:
    row = decode((await store.get(L1)).body, L1, L1)
    assert isinstance(row, WorkspaceRow)
    return row


async def unit_of(store: Store, name: str = ROW) -> UnitRow:
    row = decode((await store.get(name)).body, name, name)
    assert isinstance(row, UnitRow)
    return row


class RotationContract:
    """Subclasses give the fixture `stores`."""

    async def test_what_was_sealed_opens_afterwards(self, stores: Sequence[Store]) -> None:
        writer = worker(stores)
        sealed = [((await patient(writer, unit)).seal(b"plain", "data/one"), unit) for unit in UNITS]
        await patient(writer, UNIT._replace(workspace="rival"))
        rival = await bodies(stores, workspace_row("rival"))
        assert await rotation(stores).run(BY, at_once) == Pass(rows=4, rewrapped=4, tombstones=0)
        for store in stores:
            row = await workspace_of(store)
            assert (row.current, [key.generation for key in row.keys]) == (2, [2])
            assert {(await unit_of(store, unit_row(unit))).under for unit in UNITS} == {2}
        for objects, unit in sealed:
            assert (await patient(worker(stores), unit, create=False)).open(*objects, "data/one") == b"plain"
        assert await bodies(stores, workspace_row("rival")) == rival

    async def test_a_new_unit_is_under_the_new_key(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        await rotation(stores).run(BY, at_once)
        await patient(worker(stores), NEIGHBOUR)
        assert (await unit_of(stores[0], unit_row(NEIGHBOUR))).under == 2

    async def test_each_rotation_is_another_generation(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        for generation in (2, 3, 4):
            await rotation(stores).run(BY, at_once)
            assert (await workspace_of(stores[0])).current == generation
        assert agree(await patient(worker(stores), UNIT), await patient(worker(stores), UNIT))

    async def test_it_is_on_record(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        await rotation(stores).run(BY, at_once)
        for store in stores:
            found = [event async for event in events(store)]
            assert [(event.what, event.rows, event.generation) for event in found] == [
                (What.ROTATION_BEGUN, (L1,), 2),
                (What.ROTATION_DONE, (L1,), 2),
            ]
            assert {(event.who, event.host, event.why, event.at) for event in found} == {BY}

    async def test_a_worker_that_has_the_old_key_cached_goes_on_with_the_new_one(
        self, stores: Sequence[Store]
    ) -> None:
        other = worker(stores)
        await patient(other, UNIT)
        turning = rotation(stores)
        await turning.begin(2)
        await other.poll()
        await patient(other, NEIGHBOUR)
        assert (await unit_of(stores[0], unit_row(NEIGHBOUR))).under == 2

    async def test_a_row_that_came_while_it_settled_is_wrapped_too(self, stores: Sequence[Store]) -> None:
        """A worker that has not looked yet makes a unit under the old key: that key must not be destroyed."""
        late = worker(stores)
        await patient(late, UNIT)
        waits = 0

        async def settle() -> None:
            nonlocal waits
            waits += 1
            if waits == 1:
                await patient(late, NEIGHBOUR)

        await rotation(stores).run(BY, settle)
        assert waits == 2
        assert (await unit_of(stores[0], unit_row(NEIGHBOUR))).under == 2
        assert agree(await patient(worker(stores), NEIGHBOUR), await patient(late, NEIGHBOUR))

    async def test_the_old_key_stays_while_it_settles(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        during: list[int] = []

        async def settle() -> None:
            during.extend(key.generation for key in (await workspace_of(stores[0])).keys)

        await rotation(stores).run(BY, settle)
        assert during == [1, 2]

    async def test_nothing_is_rotated_where_there_is_no_key(self, stores: Sequence[Store]) -> None:
        with pytest.raises(NoSuchKey):
            await rotation(stores).run(BY, at_once)
        assert [stat async for stat in stores[0].list("")] == []

    async def test_a_withdrawn_workspace_is_not_rotated(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        await disable(replicas(stores), [L1], NOW)
        with pytest.raises(KeyDisabled):
            await rotation(stores).run(BY, at_once)
        await tombstone(replicas(stores), [L1], NOW)
        with pytest.raises(KeyShredded):
            await rotation(stores).run(BY, at_once)

    async def test_tombstones_stay_and_disabled_rows_stay_disabled(self, stores: Sequence[Store]) -> None:
        sealed = (await patient(worker(stores), NEIGHBOUR)).seal(b"plain", "data/two")
        await patient(worker(stores), UNIT)
        await tombstone(replicas(stores), [ROW], NOW)
        await disable(replicas(stores), [unit_row(NEIGHBOUR)], NOW)
        assert await rotation(stores).run(BY, at_once) == Pass(rows=2, rewrapped=1, tombstones=1)
        assert (await unit_of(stores[0])).state is State.TOMBSTONE
        with pytest.raises(KeyDisabled):
            await patient(worker(stores), NEIGHBOUR, create=False)
        await enable(replicas(stores), [unit_row(NEIGHBOUR)], NOW)
        key = await patient(worker(stores), NEIGHBOUR, create=False)
        assert key.open(*sealed, "data/two") == b"plain"

    async def test_a_row_shredded_under_its_hands_stays_shredded(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        await rotation(stores).begin(2)

        class ShreddingFirst(Replicas):
            async def changed(self, name: str, edit: Callable[[Row | None], Row | None]) -> Row | None:
                await tombstone(replicas(stores), [name], NOW)
                return await super().changed(name, edit)

        shredding = ShreddingFirst(stores, requests=8)
        await Rotation(shredding, Roots([ROOT]), "acme", retry=fast(), now=lambda: NOW).rewrap()
        assert (await unit_of(stores[0])).state is State.TOMBSTONE
        with pytest.raises(KeyShredded):
            await patient(worker(stores), UNIT)

    async def test_two_operators_at_once_make_one_generation(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        one, two = rotation(stores), rotation(stores)
        assert await one.begun(BY) == await two.begun(BY) == 2
        await one.begin(2)
        await two.begin(2)
        assert [key.generation for key in (await workspace_of(stores[0])).keys] == [1, 2]
        await one.run(BY, at_once)
        await two.rewrap()
        assert await two.retire(2) == 0
        await patient(worker(stores), UNIT, create=False)

    async def test_what_is_to_be_done_is_told(self, stores: Sequence[Store]) -> None:
        for unit in UNITS:
            await patient(worker(stores), unit)
        await tombstone(replicas(stores), [ROW], NOW)
        await disable(replicas(stores), [unit_row(NEIGHBOUR)], NOW)
        before = await standing(replicas(stores), "acme", fast())
        assert before == ("acme", "active", 1, 1, ROOT.fingerprint, 4, 1, 1, 0, "")
        await rotation(stores).begin(2)
        during = await standing(replicas(stores), "acme", fast())
        assert during == ("acme", "active", 2, 2, ROOT.fingerprint, 4, 1, 1, 3, "a rotation is under way")
