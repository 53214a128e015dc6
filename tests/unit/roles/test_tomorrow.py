"""Tomorrow's keys are made ahead, in the evening, for what was sealed today."""

from datetime import UTC, datetime

import pytest

from tests.contract.keystore.world import NEIGHBOUR, UNIT, patient, worker
from workers.errors import Fatal
from workers.roles.tomorrow import Tomorrow
from workers.sealing.rows import unit_row, workspace_row
from workers.store.memory import MemoryStore


def at(hour: int, minute: int = 0) -> int:
    return round(datetime(2026, 11, 25, hour, minute, tzinfo=UTC).timestamp() * 1000)


async def made(store: MemoryStore, hour: int) -> set[str]:
    """Units' rows after a look at that hour, by a worker that sealed for two units today and read a third."""
    keys = worker([store])
    app = UNIT._replace(source="app")
    for unit in (UNIT, app, UNIT._replace(day="2026-11-24")):
        await patient(keys, unit)
    await patient(worker([store]), UNIT._replace(source="idle"))
    await patient(keys, UNIT._replace(source="idle"), create=False)
    before = {stat.key async for stat in store.list("keys/v1/ws=")}
    await Tomorrow(keys, lambda: at(hour)).look(spread=0.0)
    return {stat.key async for stat in store.list("keys/v1/ws=")} - before


async def test_in_the_evening_tomorrows_keys_are_made_for_what_was_sealed_today() -> None:
    store = MemoryStore()
    assert await made(store, 18) == {unit_row(NEIGHBOUR), unit_row(NEIGHBOUR._replace(source="app"))}


async def test_before_that_none_is_made() -> None:
    assert await made(MemoryStore(), 17) == set()


async def test_an_outage_is_waited_out_and_a_damaged_keystore_is_not() -> None:
    store = MemoryStore()
    keys = worker([store])
    await patient(keys, UNIT)
    down = store.faults.storm(1.0)
    await Tomorrow(keys, lambda: at(19)).look(spread=0.0)
    store.faults.remove(down)
    fresh = worker([store])
    await patient(fresh, UNIT)
    fresh._workspaces.forget_all()
    await store.put(workspace_row("acme"), b"{}")
    with pytest.raises(Fatal):
        await Tomorrow(fresh, lambda: at(19)).look(spread=0.0)
