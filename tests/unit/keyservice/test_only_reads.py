"""The key service reads the keystore and writes nothing: deploy/iam/keyservice.json lets it do no more."""

import pytest

from tests.contract.keystore.world import UNIT
from tests.unit.keyservice.world import NAME, World, error_of
from workers.sealing.keys import context_of, service_context
from workers.store.faults import Fault


@pytest.fixture
async def world() -> World:
    """With nothing cached, and every write refused."""
    world = await World().begin()
    for store in world.stores:
        for operation in ("put", "delete"):
            store.faults.add(Fault.DENIED, operation=operation, times=None)
    return world


def refused_writes(world: World) -> int:
    return sum(len(store.faults.injected) for store in world.stores)


async def test_reading_writes_nothing(world: World) -> None:
    assert world.opens(await world.ask(world.wanted()))
    assert (await world.ask({"KeyId": "acme"}, "DescribeKey")).status == 200
    assert refused_writes(world) == 0


async def test_a_day_that_nothing_was_sealed_for_gets_no_key_by_being_asked_for(world: World) -> None:
    context = service_context(context_of(UNIT._replace(day="2030-01-01"), NAME))
    answer = await world.ask(world.wanted(EncryptionContext=context))
    assert error_of(answer) == "InvalidCiphertextException"
    assert refused_writes(world) == 0
