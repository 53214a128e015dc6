"""What releases and discards owe, on any store: each record goes to one place, once, and no other goes."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.contract.quarantine.world import (
    QUARANTINE,
    WANTED,
    account,
    archived,
    copied,
    discarded,
    person,
    quarantining,
    released,
)
from tests.contract.replay.world import SITE, World
from tests.unit.intake.making import envelope
from workers.intake.key_states import Refused
from workers.ledger.quarantine import Wanted
from workers.ledger.unit_entries import Became, Kind
from workers.store.port import Store


class QuarantineSuite(ABC):
    @pytest.fixture
    @abstractmethod
    def store(self) -> Store | AsyncIterator[Store]:
        """An empty bucket."""

    @pytest.fixture
    def world(self, store: Store) -> World:
        return quarantining(store)

    async def test_what_is_released_of_a_host_is_the_sources_own_and_the_rest_stays(
        self, world: World
    ) -> None:
        wanted = await archived(world, batches=2)
        assert (await person(world).count(QUARANTINE, WANTED)).records == 4
        assert await world.ids(SITE) == Counter(["own0", "own1"])
        moved = await released(world)
        assert (moved.records, moved.entries, moved.broken) == (4, 1, {})
        assert await world.ids(SITE) == Counter([*wanted, "own0", "own1"])
        assert await world.ids(QUARANTINE) == Counter(["o0", "s0", "o1", "s1"])
        [entry] = await world.entries(QUARANTINE)
        assert (entry.kind, entry.actor, entry.host, entry.reason) == (
            *(Kind.RELEASE, "ann", "desk"),
            "copy.example: they rang",
        )
        assert entry.counts == {Became.ACCEPTED: {"released": 4}}
        assert [each.records for each in entry.consumed] == [((0, 0), (2, 2))] * 2
        again = await released(world)
        assert (again.records, again.entries) == (0, 0)
        assert (await discarded(world)).records == 0

    async def test_what_is_discarded_is_nowhere_and_never_comes_back(self, world: World) -> None:
        await archived(world)
        assert (await discarded(world)).records == 2
        assert await world.ids(QUARANTINE) == Counter(["o0", "s0"])
        assert (await released(world)).records == 0
        assert await world.ids(SITE) == Counter(["own0"])
        [entry] = await world.entries(QUARANTINE)
        assert (entry.kind, entry.outputs) == (Kind.DISCARD, ())
        assert entry.counts == {Became.DISCARDED: {"discarded": 2}}

    async def test_releases_and_discards_race_and_each_record_goes_one_way(self, world: World) -> None:
        wanted = await archived(world, batches=3)
        moves = await asyncio.gather(*(released(world) for _ in range(3)), discarded(world))
        assert sum(moved.records for moved in moves) == len(wanted)
        assert sum(moved.entries for moved in moves) == len(await world.entries(QUARANTINE)) >= 1
        in_site = await world.ids(SITE)
        assert max(in_site.values()) == 1
        assert (in_site - Counter(["own0", "own1", "own2"])).total() == len(wanted) - moves[3].records
        assert await world.ids(QUARANTINE) == Counter(f"{kind}{n}" for kind in "os" for n in range(3))

    async def test_people_who_want_different_records_all_get_theirs(self, world: World) -> None:
        wanted = await archived(world)
        other = Wanted(frozenset({"known"}), "other.example")
        second = Wanted(frozenset({"second"}), "copy.example")
        moves = await asyncio.gather(released(world), released(world, other), discarded(world, second))
        assert [(moved.records, moved.entries) for moved in moves] == [(2, 1), (1, 1), (1, 1)]
        assert await world.ids(SITE) == Counter([*wanted, "o0", "own0"])
        assert await world.ids(QUARANTINE) == Counter()

    async def test_what_has_no_witness_is_of_the_host_that_its_page_claims(self, world: World) -> None:
        unseen = envelope("known", page={"url": "https://copy.example/a"})
        await world.archive([unseen.replace(b'"type"', b'"messageId": "n", "type"'), *copied("a")])
        assert (await released(world)).records == 2
        assert await world.ids(SITE) == Counter("an")

    async def test_a_hold_keeps_what_would_be_discarded(self, world: World) -> None:
        await archived(world)
        with pytest.raises(Refused, match="legal hold"):
            await discarded(world, standing=account(hold=True))
        assert (await released(world, standing=account(hold=True))).records == 2
