"""The index is kept between starts, read as far as it is new, believed as far as the ledger bears it out."""

from typing import Any

import msgspec
import pytest
import zstandard

from tests.unit.ledger.units import LINES, NOBODYS, REPLAYED, disposal, replayed
from tests.unit.ledger.world import retry
from tests.unit.retention.making import unit, workspace
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, World, group
from workers.intake.dispositions import Disposition
from workers.ledger.unit_chain import append
from workers.ledger.verify_report import Kind, Report
from workers.retention import index_audit, index_copy, names
from workers.retention.agent import Agent
from workers.retention.census import Census, Registrar
from workers.retention.index import UnitIndex
from workers.retention.index_copy import IndexCopy
from workers.retention.plan import Limits
from workers.sealing.keys import Unit

GONE, KEPT, LATER = unit(40), unit(10), unit(41)


async def world(last: Unit = LATER) -> World:
    """One day is disposed of, one is due, one is kept; four entries."""
    found = World({"acme": workspace(retention_days=30)})
    for _ in range(2):
        await found.commit({group(GONE): [b"{}"] * 3, group(KEPT): [b"{}"] * 2})
    await found.commit({group(KEPT, Disposition.FLAGGED): [b"{}"]})
    await dispose_all(found)
    await found.commit({group(last): [b"{}"]})
    return found


async def dispose_all(found: World) -> None:
    agent = Agent(
        found.ledger, registrar(found), found.disposer(), found.view, Limits(1.0, 1.0), retry(),
        lambda: found.now, lambda: None,
    )  # fmt: skip
    for wait in (0, DESTROY_AFTER, SHRED_LATENCY):
        found.now += wait
        for each in sorted((await agent.plan()).may_go):
            await agent.advance(each)


def registrar(found: World, **how: Any) -> Registrar:
    return Registrar(found.ledger, UnitIndex(found.ledger, retry(), lambda: found.now), retry(), **how)


async def census(found: World, **how: Any) -> Census:
    return await registrar(found, **how).census(found.view(), found.now)


async def kept(found: World) -> IndexCopy:
    made = registrar(found, anew=True)
    await made.census(found.view(), found.now)
    await made.keep()
    copy = await index_copy.load(found.ledger, retry())
    assert copy is not None
    return copy


async def put(found: World, copy: IndexCopy) -> None:
    await index_copy.keep(found.ledger, copy, retry())


async def audited(found: World) -> Report:
    report = Report()
    await index_audit.audit(found.ledger, retry(), report)
    return report


def alike(one: Census, other: Census) -> bool:
    return sorted(one.held) == sorted(other.held) and one[1:] == other[1:]


async def test_a_start_reads_what_is_new_since_the_copy_and_plans_the_same() -> None:
    found = await world()
    await kept(found)
    anew = await census(found, anew=True)
    found.ledger.requests.clear()
    assert alike(await census(found), anew)
    assert found.ledger.requests["get"] == 3  # the copy, the entry that it stands at, what would be next
    await found.commit({group(KEPT): [b"{}"]})
    found.ledger.requests.clear()
    assert alike(await census(found), await census(found, anew=True))
    assert found.ledger.requests["get"] <= 3 + 1 + 12


async def test_a_chain_that_grows_is_read_from_where_it_was() -> None:
    found = World({"acme": workspace()})
    at = await replayed(found.ledger, 300)
    growing = registrar(found)
    await growing.census(found.view(), found.now)
    for _ in range(3):
        at = await replayed(found.ledger, 2, at)
        found.ledger.requests.clear()
        grown = await growing.census(found.view(), found.now)
        assert found.ledger.requests["get"] == 2
        anew = registrar(found)
        assert alike(grown, await anew.census(found.view(), found.now))
        assert growing._chains == anew._chains
    await append(found.ledger, at, disposal((REPLAYED[0], 0), (REPLAYED[50], LINES)), retry())
    assert alike(await growing.census(found.view(), found.now), await census(found, anew=True))
    assert growing._chains[NOBODYS].disposals == {at.seq + 1}
    assert growing._chains[NOBODYS].disposed == 2


async def test_what_is_disposed_of_behind_the_copy_is_seen() -> None:
    found = await world()
    await kept(found)
    await dispose_all(found)
    assert alike(await census(found), await census(found, anew=True))
    assert (await audited(found)).clean  # old is not wrong


async def test_a_chain_that_has_grown_behind_the_copy_is_read_again() -> None:
    found = await world()
    copy = await kept(found)
    chain = msgspec.structs.replace(copy.unit_chains[0], seq=0, disposals=(), certified=(), disposed=0)
    await put(found, msgspec.structs.replace(copy, unit_chains=(chain,)))
    assert (await audited(found)).clean
    await found.ledger.delete([names.certificate(GONE, 1)])
    assert (await census(found)).uncertified == {GONE}


async def test_a_lost_copy_and_garbage_change_nothing() -> None:
    found = await world()
    anew = await census(found)
    assert (await audited(found)).clean
    packed = zstandard.ZstdCompressor().compress(b"no copy")
    for body in (b"", b"garbage", packed, index_copy.encode(await kept(found))[:-3]):
        await found.ledger.put(names.INDEX, body)
        assert alike(await census(found), anew)
        assert (await audited(found)).kinds == {Kind.WRONG_INDEX: 1}


async def test_a_copy_of_another_ledger_is_passed_over() -> None:
    found, other = await world(), await world(KEPT)
    await put(found, await kept(other))
    assert alike(await census(found), await census(found, anew=True))


def forged(copy: IndexCopy, **first_unit: Any) -> IndexCopy:
    units = (msgspec.structs.replace(copy.units[0], **first_unit), *copy.units[1:])
    return msgspec.structs.replace(copy, units=units)


def behind(copy: IndexCopy) -> IndexCopy:
    """It stands at the head, and lacks a unit."""
    return msgspec.structs.replace(copy, units=copy.units[1:])


def uncertified(copy: IndexCopy) -> IndexCopy:
    chain = msgspec.structs.replace(copy.unit_chains[0], certified=(1, 2))
    return msgspec.structs.replace(copy, unit_chains=(chain,))


def undisposed(copy: IndexCopy) -> IndexCopy:
    chain = msgspec.structs.replace(copy.unit_chains[0], disposals=())
    return msgspec.structs.replace(copy, unit_chains=(chain,))


def elsewhere(copy: IndexCopy) -> IndexCopy:
    chain = msgspec.structs.replace(copy.chains[0], next=copy.chains[0].next + 1)
    return msgspec.structs.replace(copy, chains=(chain,))


@pytest.mark.parametrize(
    "forge",
    [
        lambda copy: forged(copy, objects=7),
        lambda copy: forged(copy, stored_bytes=10**12),
        lambda copy: forged(copy, firsts={0: copy.units[0].firsts[0][:8]}),
        behind,
        uncertified,
        undisposed,
        elsewhere,
    ],
)
async def test_a_copy_that_says_something_else_than_the_ledger_is_a_finding(forge: Any) -> None:
    found = await world()
    copy = await kept(found)
    assert (await audited(found)).clean
    await put(found, forge(copy))
    assert set((await audited(found)).kinds) == {Kind.WRONG_INDEX}
    await kept(found)
    assert (await audited(found)).clean


async def test_a_worker_keeps_a_copy_once_enough_is_new() -> None:
    found = World({"acme": workspace(retention_days=30)})
    worker = registrar(found, keeps=True)
    for _ in range(99):
        await found.commit({group(KEPT): [b"{}"]})
    await worker.census(found.view(), found.now)
    assert await index_copy.load(found.ledger, retry()) is None
    await found.commit({group(KEPT): [b"{}"]})
    await worker.census(found.view(), found.now)
    copy = await index_copy.load(found.ledger, retry())
    assert copy is not None
    assert copy.entries == 100
    await found.ledger.delete([names.INDEX])
    await worker.census(found.view(), found.now)
    assert await index_copy.load(found.ledger, retry()) is None  # nothing is new
