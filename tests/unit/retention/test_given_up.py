"""What was given up whole keeps its bytes and its key until its unit is due; then both go, with proof."""

import secrets
from typing import Any

import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.test_agent import agent_of, until_done, work
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, World, group
from workers.by import By
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.unit_chain import Draft, append, head
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.ledger.verify import Verifier
from workers.retention import index_copy
from workers.retention.census import Registrar
from workers.retention.dispose import Terms
from workers.retention.explain import explained
from workers.retention.index import UnitIndex
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyShredded

QUARANTINED = unit(31, clock=Clock.QUARANTINE)
NOBODYS = Unit(PLATFORM, UNCLAIMED, unit(8).day, Clock.UNCLAIMED)
UNITS = pytest.mark.parametrize("of", [QUARANTINED, NOBODYS], ids=["quarantine", "unclaimed"])


async def stored(found: World, of: Unit) -> StoredObject:
    """Two records, of which each test says what becomes."""
    entry = await found.commit({group(of, Disposition.QUARANTINED): [b"{}"] * 2})
    return entry.objects[0]


async def give_up(found: World, of: Unit, what: StoredObject) -> None:
    draft = Draft(
        Kind.DISCARD,
        secrets.token_hex(8),
        Writer("ann", "test"),
        By("ann", "h", "a copy", found.now),
        {},
        (Consumed(what.key, None, what.records),),
        {Became.DISCARDED: {"discarded": what.records}},
    )
    await append(found.ledger, await head(found.ledger, of, retry()), draft, retry())


async def explain(found: World, what: StoredObject) -> dict[str, object]:
    terms = Terms(DESTROY_AFTER, SHRED_LATENCY)
    return await explained(found.ledger, found.data, what.key, found.view(), terms, retry(), found.now)


def registrar(found: World) -> Registrar:
    return Registrar(found.ledger, UnitIndex(found.ledger, retry(), lambda: found.now), retry())


@UNITS
async def test_a_unit_that_was_given_up_whole_goes_when_it_is_due(of: Unit) -> None:
    found = World({"acme": workspace()})
    what = await stored(found, of)
    await give_up(found, of, what)
    agent = agent_of(found)
    (due,) = (await agent.plan()).plan.tasks
    assert due.held == (of, 1, 0, what.stored_bytes)  # there is something to go, and no record among it
    assert "its bytes and its key go" in str((await explain(found, what))["given up"])
    await until_done(found, agent)
    assert await found.contents(found.data) == await found.contents(found.replica) == []
    with pytest.raises(KeyShredded):
        await found.keystore().unit_key(of, create=False)
    (issued,) = await found.certificates(of)
    assert (issued.disposed.objects, issued.disposed.records) == (1, 0)
    told = await explain(found, what)
    assert (told["certificate"], told["there"], "given up" in told) == (issued.name, False, False)
    report = await Verifier(found.ledger, found.data, retry()).run()
    assert report.clean, report.findings
    assert not (await agent.plan()).may_go


async def test_before_it_is_due_it_stays() -> None:
    found = World({"acme": workspace()})
    of = unit(20, clock=Clock.QUARANTINE)
    await give_up(found, of, await stored(found, of))
    agent = agent_of(found)
    await until_done(found, agent)
    assert len(await found.contents(found.data)) == 1
    assert await found.keystore().unit_key(of, create=False)


@pytest.mark.parametrize("change", [{"legal_hold": True}, {"retention_days": 5, "effective_from": 2**42}])
async def test_a_hold_keeps_it_too(change: dict[str, Any]) -> None:
    found = World({"acme": workspace(**change)})
    await give_up(found, QUARANTINED, await stored(found, QUARANTINED))
    agent = agent_of(found)
    await until_done(found, agent)
    assert len(await found.contents(found.data)) == 1


async def test_what_is_gone_is_read_again_by_no_start() -> None:
    """A census that begins with the copy reads neither its entries nor its chain."""
    found = World({"acme": workspace()})
    await give_up(found, QUARANTINED, await stored(found, QUARANTINED))
    await until_done(found, agent_of(found))
    made = registrar(found)
    await made.census(found.view(), found.now)
    await made.keep()
    copy = await index_copy.load(found.ledger, retry())
    assert copy is not None
    (chain,) = copy.unit_chains
    assert (chain.disposed, chain.disposals, chain.certified) == (1, (2,), (2,))
    found.ledger.requests.clear()
    census = await registrar(found).census(found.view(), found.now)
    assert [each.objects for each in census.held] == [0]
    assert found.ledger.requests["get"] == 3  # the copy, the entry that it stands at, what would be next


async def test_what_was_given_up_of_a_unit_goes_with_the_rest_and_is_explained_by_it() -> None:
    found = World({"acme": workspace()})
    given_up, rest = await stored(found, QUARANTINED), await stored(found, QUARANTINED)
    await give_up(found, QUARANTINED, given_up)
    agent = agent_of(found)
    (due,) = (await agent.plan()).plan.tasks
    assert due.held == (QUARANTINED, 2, 2, given_up.stored_bytes + rest.stored_bytes)
    await until_done(found, agent)
    (issued,) = await found.certificates(QUARANTINED)
    for each in (given_up, rest):
        assert (await explain(found, each))["certificate"] == issued.name
    await work(agent)
    assert await found.contents(found.data) == []
