"""A step is taken by one: who comes second, with what he read before, is told so."""

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit
from workers.errors import Fatal
from workers.retention import names, pending
from workers.retention.pending import Moved, Pending, Step
from workers.store.faults import Fault
from workers.store.memory import MemoryStore

UNIT = unit(40)
BEGUN = Pending(
    **UNIT._asdict(),
    step=Step.BEGUN,
    begun_at=1,
    reason="retention",
    policy=(4, 9),
    attempt="a" * 16,
    by="one",
)


def to(step: Step, by: str = "one") -> Pending:
    return msgspec.structs.replace(BEGUN, step=step, by=by)


async def test_of_two_that_read_the_same_one_takes_the_step() -> None:
    store = MemoryStore(versioned=True)
    stood = await pending.begin(store, BEGUN, retry())
    await pending.step(store, stood, to(Step.RECALLED, "ops"), retry())
    with pytest.raises(Moved):
        await pending.step(store, stood, to(Step.DISPOSING, "worker"), retry())
    found = await pending.read(store, UNIT, retry())
    assert found is not None
    assert (found.pending.step, found.pending.by) == (Step.RECALLED, "ops")


async def test_a_step_of_what_is_over_fails() -> None:
    store = MemoryStore(versioned=True)
    stood = await pending.begin(store, BEGUN, retry())
    await pending.end(store, UNIT, retry())
    with pytest.raises(Moved):
        await pending.step(store, stood, to(Step.DISPOSING), retry())
    assert await pending.read(store, UNIT, retry()) is None


@pytest.mark.parametrize(
    "fault", [Fault.LOST_RESPONSE, Fault.OWN_WRITE_REFUSED, Fault.SLOW_DOWN, Fault.CONFLICT]
)
async def test_a_step_whose_answer_was_lost_is_known_again(fault: Fault) -> None:
    store = MemoryStore()
    stood = await pending.begin(store, BEGUN, retry())
    store.faults.add(fault, operation="put")
    taken = await pending.step(store, stood, to(Step.DISPOSING), retry())
    assert await pending.read(store, UNIT, retry()) == taken


async def test_who_begins_second_goes_on_from_the_first() -> None:
    store = MemoryStore()
    await pending.begin(store, BEGUN, retry())
    other = msgspec.structs.replace(BEGUN, attempt="b" * 16, by="two")
    assert (await pending.begin(store, other, retry())).pending == BEGUN
    assert [stood.pending async for stood in pending.under_way(store, retry())] == [BEGUN]


@pytest.mark.parametrize("body", [b"garbage", b"{}", pending.encode(BEGUN).replace(b"acme", b"else")])
async def test_what_is_none_is_refused(body: bytes) -> None:
    store = MemoryStore()
    await store.put(names.pending(UNIT), body)
    with pytest.raises(Fatal, match="no disposal under way"):
        await pending.read(store, UNIT, retry())


async def test_a_look_for_ended_records_that_fails_is_taken_again() -> None:
    store = MemoryStore(versioned=True)
    await pending.begin(store, BEGUN, retry())
    await pending.end(store, UNIT, retry())
    store.faults.add(Fault.SLOW_DOWN, operation="versions", times=2)
    assert await pending._cleared(store, names.pending(UNIT), retry())
    assert [version async for version in store.versions(names.PENDING)] == []
