"""What was replayed into a quarantine is released like what intake put there."""

from collections import Counter

from tests.contract.quarantine.world import ACME, QUARANTINE, copied, quarantining, released
from tests.contract.replay.world import SITE, UNCLAIMED
from tests.unit.intake.making import key_record, policy_of, verdict_record
from workers.ledger.quarantine import Wanted
from workers.store.memory import MemoryStore


async def test_copies_of_a_key_that_comes_late_are_quarantined_by_the_replay_and_released_once() -> None:
    world = quarantining(MemoryStore())
    await world.archive([*copied("a", "b", key="newer"), *copied("c", host="www.good.com", key="newer")])
    assert await world.ids(UNCLAIMED) == Counter("abc")
    world.policy = policy_of([key_record("newer")], [ACME], [verdict_record(key="newer")])
    await world.steward().run_pass()
    assert await world.ids(QUARANTINE) == Counter("ab")
    assert await world.ids(SITE) == Counter("c")
    for records in (2, 0):
        moved = await released(world, Wanted(frozenset({"newer"}), "copy.example"))
        assert moved.records == records
        assert await world.ids(SITE) == Counter("abc")
        assert await world.ids(QUARANTINE) == Counter()
