"""What a keystore promises over any one or two stores, real or in memory."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.contract.keystore.world import (
    NEIGHBOUR,
    NOW,
    UNIT,
    agree,
    bodies,
    patient,
    replicas,
    worker,
)
from workers.errors import Fatal
from workers.intake.dispositions import Clock
from workers.sealing.refusals import KeyDisabled, KeyShredded, NoSuchKey
from workers.sealing.root import FileRoot
from workers.sealing.rows import State, decode, marker_of, unit_row, workspace_row
from workers.sealing.withdraw import disable, enable, tombstone
from workers.store.port import IfMatch, PreconditionFailed, Store

ROW = unit_row(UNIT)


class KeystoreContract:
    """Subclasses give the fixture `stores`."""

    async def test_a_key_made_by_one_worker_opens_in_another(self, stores: Sequence[Store]) -> None:
        made = await patient(worker(stores), UNIT)
        sealed = made.seal(b"plain", "data/one")
        found = await patient(worker(stores), UNIT, create=False)
        assert found.open(*sealed, "data/one") == b"plain"
        assert found.generation == made.generation == 1

    async def test_rows_are_the_same_in_every_bucket(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        for name in (ROW, workspace_row("acme")):
            assert len(set(await bodies(stores, name))) == 1

    async def test_a_derived_key_is_a_workspaces_own_for_one_purpose(self, stores: Sequence[Store]) -> None:
        one, other = worker(stores), worker(stores)
        made = await one.derived("acme", b"this")
        assert made == await other.derived("acme", b"this")
        others = [await one.derived("acme", b"that"), await one.derived("rival", b"this")]
        assert len({made[1], *(key for _, key in others)}) == 3
        assert (made[0], len(made[1]), repr(made[1])) == (1, 32, "<secret>")

    async def test_racing_workers_agree_on_a_new_unit(self, stores: Sequence[Store]) -> None:
        keys = await asyncio.gather(*(patient(worker(stores), UNIT) for _ in range(8)))
        assert agree(*keys)

    async def test_racing_workers_agree_on_a_new_workspace(self, stores: Sequence[Store]) -> None:
        units = [UNIT._replace(source=f"source-{number}") for number in range(8)]
        await asyncio.gather(*(patient(worker(stores), unit) for unit in units))
        reader = worker(stores)
        for unit in units:
            await patient(reader, unit, create=False)

    async def test_every_part_of_a_unit_has_a_key_of_its_own(self, stores: Sequence[Store]) -> None:
        keystore = worker(stores)
        others = [
            NEIGHBOUR,
            UNIT._replace(source="app"),
            UNIT._replace(workspace="rival"),
            UNIT._replace(clock=Clock.QUARANTINE),
        ]
        names = {unit_row(unit) for unit in (UNIT, *others)}
        for unit in (UNIT, *others):
            await patient(keystore, unit)
        rows = [decode((await bodies(stores, name))[0], name, name) for name in names]
        assert len({row.wrapped for row in rows if hasattr(row, "wrapped")}) == 5

    async def test_a_reader_makes_nothing(self, stores: Sequence[Store]) -> None:
        with pytest.raises(NoSuchKey, match="clock=main"):
            await patient(worker(stores), UNIT, create=False)
        for store in stores:
            assert [stat async for stat in store.list("")] == []

    async def test_prepared_keys_are_the_ones_used_later(self, stores: Sequence[Store]) -> None:
        keystore = worker(stores)
        assert await keystore.prepare([UNIT, NEIGHBOUR, UNIT]) == 0
        made = await patient(keystore, NEIGHBOUR)
        assert agree(made, await patient(worker(stores), NEIGHBOUR, create=False))

    async def test_a_disabled_key_is_nobodys_until_it_is_enabled(self, stores: Sequence[Store]) -> None:
        sealed = (await patient(worker(stores), UNIT)).seal(b"plain", "data/one")
        await disable(replicas(stores), [ROW], NOW)
        for create in (False, True):
            with pytest.raises(KeyDisabled, match="clock=main"):
                await patient(worker(stores), UNIT, create=create)
        await enable(replicas(stores), [ROW], NOW)
        key = await patient(worker(stores), UNIT, create=False)
        assert key.open(*sealed, "data/one") == b"plain"

    async def test_a_tombstone_is_final_and_neighbours_still_read(self, stores: Sequence[Store]) -> None:
        writer = worker(stores)
        await patient(writer, UNIT)
        sealed = (await patient(writer, NEIGHBOUR)).seal(b"plain", "data/two")
        await tombstone(replicas(stores), [ROW], NOW)
        for create in (False, True):
            with pytest.raises(KeyShredded, match="2026-11-25"):
                await patient(worker(stores), UNIT, create=create)
        for change in (disable, enable):
            with pytest.raises(KeyShredded):
                await change(replicas(stores), [ROW], NOW)
        for body in await bodies(stores, ROW):
            row = decode(body, ROW, ROW)
            assert row.state is State.TOMBSTONE
            assert b'"wrapped":""' in body
        key = await patient(worker(stores), NEIGHBOUR, create=False)
        assert key.open(*sealed, "data/two") == b"plain"

    async def test_a_name_can_be_shredded_before_it_has_a_key(self, stores: Sequence[Store]) -> None:
        await tombstone(replicas(stores), [ROW], NOW)
        with pytest.raises(KeyShredded):
            await patient(worker(stores), UNIT)

    async def test_a_row_put_back_over_its_tombstone_stays_refused(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        old = await bodies(stores, ROW)
        await tombstone(replicas(stores), [ROW], NOW)
        for store, body in zip(stores, old, strict=True):
            await store.put(ROW, body)
        for create in (False, True):
            with pytest.raises(KeyShredded):
                await patient(worker(stores), UNIT, create=create)
        with pytest.raises(KeyShredded):
            await enable(replicas(stores), [ROW], NOW)

    async def test_a_name_is_not_made_again_even_without_its_tombstone(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        await tombstone(replicas(stores), [ROW], NOW)
        for store in stores:
            await store.delete([ROW])
        for create in (False, True):
            with pytest.raises(KeyShredded):
                await patient(worker(stores), UNIT, create=create)

    async def test_shredding_a_workspace_shreds_its_units(self, stores: Sequence[Store]) -> None:
        writer = worker(stores)
        await patient(writer, UNIT)
        await patient(writer, UNIT._replace(workspace="rival"))
        await tombstone(replicas(stores), [workspace_row("acme")], NOW)
        for create in (False, True):
            with pytest.raises(KeyShredded, match="ws=acme/l1"):
                await patient(worker(stores), UNIT, create=create)
        await patient(worker(stores), UNIT._replace(workspace="rival"), create=False)

    async def test_of_a_disable_and_a_tombstone_at_once_the_tombstone_stays(
        self, stores: Sequence[Store]
    ) -> None:
        await patient(worker(stores), UNIT)
        await asyncio.gather(
            *(disable(replicas(stores), [ROW], NOW) for _ in range(3)),
            *(tombstone(replicas(stores), [ROW], NOW) for _ in range(3)),
            *(enable(replicas(stores), [ROW], NOW) for _ in range(3)),
            return_exceptions=True,  # whoever comes after the tombstone is told so
        )
        await tombstone(replicas(stores), [ROW], NOW)  # as its owner would, had it lost every race
        for store in stores:
            assert decode((await store.get(ROW)).body, ROW, ROW).state is State.TOMBSTONE
            await store.stat(marker_of(ROW))
        with pytest.raises(KeyShredded):
            await patient(worker(stores), UNIT)

    async def test_a_late_change_of_a_shredded_row_fails(self, stores: Sequence[Store]) -> None:
        """A rotation read the row before it was shredded: its write must not bring the key back."""
        await patient(worker(stores), UNIT)
        stale = await stores[0].get(ROW)
        await tombstone(replicas(stores), [ROW], NOW)
        with pytest.raises(PreconditionFailed):
            await stores[0].put(ROW, stale.body, condition=IfMatch(stale.etag))
        assert decode((await stores[0].get(ROW)).body, ROW, ROW).state is State.TOMBSTONE

    async def test_another_root_key_is_named_and_refused(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        other = FileRoot(b"x" * 32)
        for create in (False, True):
            with pytest.raises(Fatal) as refused:
                await patient(worker(stores, root=other), UNIT, create=create)
            assert other.fingerprint in str(refused.value)
            assert FileRoot(b"r" * 32).fingerprint in str(refused.value)

    async def test_rows_of_the_wrong_name_are_refused(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        [body, *_] = await bodies(stores, ROW)
        for store in stores:
            await store.put(unit_row(NEIGHBOUR), body)
        with pytest.raises(Fatal, match="holds the row of"):
            await patient(worker(stores), NEIGHBOUR)

    async def test_a_wrapped_key_of_another_row_is_refused(self, stores: Sequence[Store]) -> None:
        await patient(worker(stores), UNIT)
        [body, *_] = await bodies(stores, ROW)
        for store in stores:
            await store.put(unit_row(NEIGHBOUR), body.replace(b"2026-11-25", b"2026-11-26"))
        with pytest.raises(Fatal, match="was altered"):
            await patient(worker(stores), NEIGHBOUR)
