"""What a replay owes, on any store: each record of a key that appeared is in its workspace, once."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.contract.replay.world import APPLIED, SITE, UNCLAIMED, World, events
from tests.unit.intake.making import key_record
from workers.ledger.unit_entries import Became, Kind
from workers.store.port import Store


class ReplaySuite(ABC):
    @pytest.fixture
    @abstractmethod
    def store(self) -> Store | AsyncIterator[Store]:
        """An empty bucket."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        return World(store)

    async def test_records_go_to_their_workspace_when_their_key_appears(self, world: World) -> None:
        await world.archive([*events("known", "a"), *events("newer", "b"), *events("strange", "c")])
        await world.archive([*events("newer", "d", "e"), *events("strange", "f")])
        steward = world.steward()
        first = await steward.run_pass()
        assert (first.objects, first.records, first.entries, first.due) == (2, 5, 0, 0)
        world.register(key_record("newer"))
        found = await steward.run_pass()
        assert found.replayed == {(Became.ACCEPTED, "accepted"): 3}
        assert (found.entries, found.due, found.records, found.broken) == (1, 0, 2, {})
        assert await world.ids(SITE) == Counter("abde")
        assert await world.ids(UNCLAIMED) == Counter("cf")
        [entry] = await world.entries()
        assert (entry.kind, entry.actor, entry.host, entry.policy) == (
            Kind.REPLAY,
            "steward",
            "steward-0",
            APPLIED,
        )
        assert [(each.records, each.count) for each in entry.consumed] == [(((0, 0),), 1), (((0, 1),), 2)]
        # and nothing is left to do, for this steward or the next one
        assert (await steward.run_pass()).entries == (await world.steward().run_pass()).entries == 0

    async def test_two_stewards_race_and_each_record_is_there_once(self, world: World) -> None:
        for number in range(4):
            await world.archive([*events("newer", f"n{number}"), *events("other", f"o{number}")])
        stewards = [world.steward() for _ in range(3)]
        await asyncio.gather(*(steward.run_pass() for steward in stewards))
        world.register(key_record("newer"), key_record("other"))
        passes = await asyncio.gather(*(steward.run_pass() for steward in stewards))
        assert await world.ids(SITE) == Counter(f"{kind}{n}" for kind in "no" for n in range(4))
        assert await world.ids(UNCLAIMED) == Counter()
        assert sum(found.entries for found in passes) == len(await world.entries()) >= 1
        assert sum(sum(found.replayed.values()) for found in passes) == 8
