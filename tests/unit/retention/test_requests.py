"""What a unit's way out costs in requests: a fleet has thousands of units a day, most of them small."""

from collections import Counter

from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, World, group
from workers.ledger.entries import StoredObject
from workers.retention.dispose import Disposer, Outcome
from workers.sealing.keys import Unit
from workers.store.memory import MemoryStore

GONE = unit(40)


async def world() -> World:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(GONE): [b"{}"] * 3})
    return found


class Known:
    """The index, whose requests are those of a plan."""

    def __init__(self, found: World) -> None:
        self.objects_of = found.objects

    async def objects(self, unit: Unit) -> list[StoredObject]:
        return self.objects_of(unit)

    async def reaches(self, since: int) -> None:
        """There already."""


async def advanced(found: World, disposer: Disposer) -> tuple[Outcome, dict[str, Counter[str]]]:
    """And the requests by bucket; the policy is not asked for in any."""
    stores: list[MemoryStore] = [found.ledger, found.data, found.replica, found.keys]
    for store in stores:
        store.requests.clear()
    step = await disposer.advance(GONE)
    return step.outcome, {store.name: Counter(store.requests) for store in stores if store.requests}


async def test_each_step_costs_a_few_requests() -> None:
    found = await world()
    disposer, known = found.disposer(), Known(found)
    disposer._units, disposer._fresh_units = known, known.reaches
    step, asked = await advanced(found, disposer)
    assert step is Outcome.DISABLED
    # the record, the chain, what feeds the unit; begun and disabled
    assert asked["ledger"] <= Counter(get=2, list=3, put=2)
    assert asked["keys"] <= Counter(get=5, stat=3, put=2)

    found.now += DESTROY_AFTER - 1
    step, asked = await advanced(found, disposer)
    assert (step, asked) == (Outcome.DISABLED, {"ledger": Counter(get=1)})

    found.now += 1
    step, asked = await advanced(found, disposer)
    assert step is Outcome.DESTROYED
    assert asked["ledger"] <= Counter(get=1, list=3, put=2)
    assert asked["keys"] <= Counter(get=4, stat=1, put=3, versions=2, delete=1)

    found.now += SHRED_LATENCY
    step, asked = await advanced(found, disposer)
    assert step is Outcome.DONE
    # the record, its entry; the chain, certificates, the chain again and what feeds it; the certificate
    assert asked["ledger"] <= Counter(get=2, list=5, put=1, delete=1)
    assert asked["keys"] <= Counter(get=2, stat=1, versions=1)
    assert asked["data"] == asked["replica"] == Counter(list=1, versions=2, delete=1)
    assert (await disposer.advance(GONE)).outcome is Outcome.NOTHING
