"""The rotation of keys over buckets in memory: killed at every request, and with old versions."""

from collections.abc import Sequence

import pytest

from tests.contract.keystore.rotation import BY, L1, ROW, UNITS, RotationContract, at_once, rotation
from tests.contract.keystore.world import NOW, UNIT, patient, replicas, worker
from workers.errors import Fatal, Retryable
from workers.sealing.key_events import What, events
from workers.sealing.rows import decode, encode
from workers.sealing.survey import standing
from workers.sealing.withdraw import tombstone
from workers.store.faults import Fault, Faults
from workers.store.memory import MemoryStore
from workers.store.port import Denied, Store
from workers.store.retry import Retry

ONCE = Retry(attempts=1)


class TestInMemory(RotationContract):
    @pytest.fixture(params=["one", "two", "two versioned"])
    def stores(self, request: pytest.FixtureRequest) -> Sequence[Store]:
        versioned = "versioned" in request.param
        names = ["memory"] if request.param == "one" else ["first", "second"]
        return [MemoryStore(name, versioned=versioned) for name in names]


@pytest.mark.parametrize("fault", [Fault.TIMED_OUT, Fault.LOST_RESPONSE], ids=lambda fault: fault.name)
@pytest.mark.parametrize("broken", [0, 1], ids=["first", "second"])
async def test_killed_at_any_request_it_is_gone_on_with(fault: Fault, broken: int) -> None:
    skip, struck = 0, True
    while struck:
        stores = [MemoryStore(name, versioned=True, faults=Faults(0)) for name in ("first", "second")]
        sealed = [((await patient(worker(stores), unit)).seal(b"plain", "one"), unit) for unit in UNITS]
        operation = "put" if fault is Fault.LOST_RESPONSE else "*"
        rule = stores[broken].faults.add(fault, operation=operation, skip=skip)
        wanted = 2
        try:
            await rotation(stores, ONCE).run(BY, at_once)
        except Retryable:
            done = [event async for event in events(stores[0]) if event.what is What.ROTATION_DONE]
            wanted = 3 if done else 2  # what was on record as done is begun anew
            await rotation(stores, ONCE).run(BY, at_once)
        struck, skip, rule.times = rule.hits > 0, skip + 1, 0
        after = await standing(replicas(stores), "acme", ONCE)
        assert (after.generation, after.generations, after.older, after.remarks) == (wanted, 1, 0, "")
        for store in stores:
            assert [one.is_latest async for one in store.versions(L1)] == [True]
        for objects, unit in sealed:
            assert (await patient(worker(stores), unit, create=False)).open(*objects, "one") == b"plain"
    assert skip > 10


async def test_a_row_under_a_key_that_is_gone_is_named_not_passed_over() -> None:
    store = MemoryStore(versioned=True)
    await patient(worker([store]), UNIT)
    stale = (await store.get(ROW)).body
    await rotation([store]).run(BY, at_once)
    await store.put(ROW, stale)
    with pytest.raises(Fatal, match="under generation 1"):
        await rotation([store]).run(BY, at_once)
    assert (
        "1 rows are under a generation that is not there"
        in (await standing(replicas([store]), "acme", ONCE)).remarks
    )


async def test_no_old_version_of_a_shredded_row_stays() -> None:
    stores = [MemoryStore(name, versioned=True) for name in ("first", "second")]
    await patient(worker(stores), UNIT)
    await tombstone(replicas(stores), [ROW], NOW)
    for store in stores:
        assert [(one.is_latest, one.delete_marker) async for one in store.versions(ROW)] == [(True, False)]


@pytest.mark.parametrize("broken", [0, 1], ids=["first", "second"])
async def test_old_versions_that_a_bucket_keeps_are_told(broken: int) -> None:
    """An Object Lock, or a role that may not: the key is withdrawn, and nobody believes it erased."""
    stores = [MemoryStore(name, versioned=True, faults=Faults(0)) for name in ("first", "second")]
    await patient(worker(stores), UNIT)
    for fault, error in ((Fault.KEPT, Retryable), (Fault.DENIED, Denied)):
        rule = stores[broken].faults.add(fault, operation="delete", times=None)
        with pytest.raises(error):
            await tombstone(replicas(stores), [ROW], NOW)
        rule.times = 0
    await tombstone(replicas(stores), [ROW], NOW)
    for store in stores:
        assert len([one async for one in store.versions(ROW)]) == 1


async def test_buckets_that_differ_are_told() -> None:
    stores = [MemoryStore("first"), MemoryStore("second")]
    await patient(worker(stores), UNIT)
    row = decode((await stores[1].get(ROW)).body, ROW, ROW)
    await stores[1].put(ROW, encode(row).replace(b'"revision":1', b'"revision":2'))
    assert f"{ROW} differs" in (await standing(replicas(stores), "acme", ONCE)).remarks
