"""Unit chains: written once, read whole or not at all, and no record is consumed twice, whoever tries."""

import asyncio
import random
from dataclasses import replace as with_changes

import pytest
from msgspec.structs import replace

from tests.unit.ledger.units import (
    BY,
    DAY,
    MAIN,
    NOBODYS,
    QUARANTINE,
    disposal,
    draft,
    intake,
    output,
)
from tests.unit.ledger.world import no_sleep, retry
from workers.errors import Fatal, Poison, Retryable
from workers.intake.dispositions import Clock
from workers.ledger import line_ranges, live, unit_chain
from workers.ledger import unit_entries as entries
from workers.ledger.entries import StoredObject, digest
from workers.ledger.names import unit_entry
from workers.ledger.unit_chain import Draft, Taken, UnitHead, append, head, unit_place, units_with_chains
from workers.ledger.unit_entries import Became, Kind
from workers.sealing.keys import Unit
from workers.store.faults import Fault, Faults
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

OBJECTS = [intake(MAIN, first, 4) for first in (0, 10, 20, 30)]


async def chain_of(store: MemoryStore, length: int, unit: Unit = MAIN) -> UnitHead:
    """Each entry disposes of one object."""
    at = await head(store, unit, retry())
    for stored in OBJECTS[:length]:
        at = await append(store, at, disposal((stored, 4)), retry())
    return at


async def test_a_chain_is_read_as_it_was_written() -> None:
    store = MemoryStore()
    assert await head(store, MAIN, retry()) == UnitHead(MAIN, 0, None, ())
    written = await chain_of(store, 3)
    assert await head(store, MAIN, retry()) == written
    bodies = [(await store.get(unit_entry(MAIN, seq))).body for seq in (1, 2, 3)]
    assert [entry.previous for entry in written.entries] == [None, *map(digest, bodies[:2])]
    assert (written.seq, written.digest) == (3, digest(bodies[2]))
    newest = written.entries[-1]
    assert (newest.actor, newest.host, newest.reason, newest.committed_at) == BY
    assert await head(store, QUARANTINE, retry()) == UnitHead(QUARANTINE, 0, None, ())


async def test_reading_costs_a_list_and_one_request_an_entry() -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    store.requests.clear()
    await head(store, MAIN, retry())
    await head(store, QUARANTINE, retry())
    assert store.requests == {"list": 2, "get": 3}


@pytest.mark.parametrize(
    "fault",
    [
        Fault.LOST_RESPONSE,
        Fault.OWN_WRITE_REFUSED,
        Fault.LATE_WRITE,
        Fault.TIMED_OUT,
        Fault.CONFLICT,
        Fault.SLOW_DOWN,
        Fault.DENIED,
    ],
)
async def test_an_append_survives_what_may_pass(fault: Fault) -> None:
    store = MemoryStore()
    at = await chain_of(store, 1)
    store.faults.add(fault, operation="put", times=2, lands_after=2)
    after = await append(store, at, disposal((OBJECTS[1], 4)), retry())
    store.land_late_writes()
    assert store.faults.injected
    assert await head(store, MAIN, retry()) == after
    assert after.seq == 2


async def test_who_comes_second_is_given_the_head_and_has_consumed_nothing() -> None:
    store = MemoryStore()
    at = await chain_of(store, 1)
    first = await append(store, at, disposal((OBJECTS[1], 4)), retry())
    second = await append(store, first, disposal((OBJECTS[2], 4)), retry())
    with pytest.raises(Taken, match="00000002") as taken:
        await append(store, at, disposal((OBJECTS[3], 4), attempt="b" * 16), retry())
    assert taken.value.head == second == await head(store, MAIN, retry())


async def test_an_equal_plan_of_another_attempt_is_not_taken_for_ours() -> None:
    store = MemoryStore()
    at = await head(store, MAIN, retry())
    await append(store, at, disposal((OBJECTS[0], 4), attempt="b" * 16), retry())
    with pytest.raises(Taken):
        await append(store, at, disposal((OBJECTS[0], 4)), retry())


async def test_a_write_that_lands_after_its_writer_gave_up_keeps_its_place() -> None:
    store = MemoryStore()
    at = await chain_of(store, 1)
    store.faults.add(Fault.LATE_WRITE, operation="put")
    with pytest.raises(Retryable):
        await append(store, at, disposal((OBJECTS[1], 4)), retry(attempts=1))
    again = await head(store, MAIN, retry())
    assert again == at
    store.land_late_writes()
    with pytest.raises(Taken):
        await append(store, again, disposal((OBJECTS[1], 4), attempt="b" * 16), retry())


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("given", [(((1, 2),), 2), (None, 4)], ids=str)
async def test_what_an_entry_has_consumed_can_not_be_consumed_again(
    whole: bool, given: tuple[line_ranges.Ranges | None, int]
) -> None:
    """Also by somebody who was Taken and goes on without looking at what was consumed."""
    store = MemoryStore()
    at = await head(store, MAIN, retry())
    before = (None, 4) if whole else (((2, 3),), 2)
    for lines, number in (before, given):
        plan = draft(Kind.DISCARD, [(OBJECTS[0].key, lines, number)], {Became.DISCARDED: number})
        if at.seq == 0 or (lines is None and not whole):  # the rest, whatever that is
            at = await append(store, at, plan, retry())
            continue
        with pytest.raises(Fatal, match="consumed before"):
            await append(store, at, plan, retry())
    assert await head(store, MAIN, retry()) == at


async def test_a_dispose_may_name_what_was_consumed_before() -> None:
    store = MemoryStore()
    at = await chain_of(store, 1)
    after = await append(store, at, disposal((OBJECTS[0], 0), (OBJECTS[1], 4)), retry())
    assert after.seq == 2


async def test_a_draft_that_contradicts_itself_is_not_written() -> None:
    store = MemoryStore()
    at = await head(store, QUARANTINE, retry())
    held = intake(QUARANTINE, 0, 3)
    elsewhere = output(Unit("beta", "site", DAY, Clock.MAIN), QUARANTINE, 1, "a" * 16, 3)
    for bad in (
        draft(Kind.DISCARD, [(held.key, None, 3)], {Became.DISCARDED: 2}),
        draft(Kind.RELEASE, [(held.key, None, 3)], {Became.ACCEPTED: 3}, [elsewhere]),
    ):
        with pytest.raises(Fatal, match="quarantine/00000001"):
            await append(store, at, bad, retry())
    assert store.requests["put"] == 0


async def broken(store: MemoryStore, what: str) -> str:
    """The key that must be named."""
    second = unit_entry(MAIN, 2)
    body = (await store.get(second)).body
    match what:
        case "missing":
            await store.delete([second])
        case "nonsense":
            await store.put(second, b"eaten by moths")
        case "another's":
            await store.put(second, (await store.get(unit_entry(MAIN, 1))).body)
        case "altered":
            entry = entries.decode(body, MAIN, 2)
            await store.put(second, entries.encode(replace(entry, reason="another")))
            return unit_entry(MAIN, 3)
        case "forged":
            entry = entries.decode(body, MAIN, 2)
            await store.put(second, entries.encode(replace(entry, previous="0" * 64)))
    return second


@pytest.mark.parametrize("what", ["missing", "nonsense", "another's", "altered", "forged"])
async def test_a_broken_chain_is_not_read_and_the_entry_is_named(what: str) -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    named = await broken(store, what)
    with pytest.raises(Fatal, match=named):
        await head(store, MAIN, retry())


async def test_a_winner_that_does_not_follow_is_no_head() -> None:
    store = MemoryStore()
    at = await chain_of(store, 1)
    await store.put(unit_entry(MAIN, 2), b"eaten by moths")
    with pytest.raises(Fatal, match="00000002"):
        await append(store, at, disposal((OBJECTS[1], 4)), retry())


async def test_a_unit_that_can_have_no_name_is_refused() -> None:
    with pytest.raises(Poison):
        await head(MemoryStore(), MAIN._replace(workspace="a/b"), retry())


async def test_units_with_chains_are_listed_with_their_newest_seq() -> None:
    store = MemoryStore()
    await chain_of(store, 3)
    await chain_of(store, 1, QUARANTINE)
    await chain_of(store, 2, NOBODYS)
    for strange in ("units/v1/notes.txt", "units/v1/ws=acme/src=shop/day=2026-11-25/clock=main/4.json"):
        await store.put(strange, b"")
    store.requests.clear()
    found = [*[each async for each in units_with_chains(store, retry())]]
    assert found == [(NOBODYS, 2), (MAIN, 3), (QUARANTINE, 1)]
    assert store.requests == {"list": 1}
    narrowed = units_with_chains(store, retry(), "units/v1/ws=acme/")
    assert [each.seq async for each in narrowed] == [3, 1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("units/v1", "units/v2"),
        ("ws=acme", "ws=ac.me"),
        ("src=shop", "src="),
        ("day=2026-11-25", "day=2026-13-25"),
        ("clock=main", "clock=never"),
        ("00000003", "3"),
        ("00000003", "00000000"),
        (".json", ".json\n"),
        (".json", ""),
    ],
)
def test_a_name_that_no_chain_has_is_not_read(old: str, new: str) -> None:
    good = unit_entry(MAIN, 3)
    assert unit_place(good) == (MAIN, 3)
    assert old in good
    assert unit_place(good.replace(old, new)) is None


# -- races ------------------------------------------------------------------------------------------


async def consume(store: MemoryStore, objects: list[StoredObject], rng: random.Random, tries: Retry) -> int:
    """A consumer as there may be several: takes some of what is live until nothing is, and returns how many
    records its own entries consumed. It may give up on an append without knowing what became of it."""
    mine = 0
    at: UnitHead | None = None
    while True:
        try:
            at = at or await head(store, QUARANTINE, tries)
            found = live.fold(at, objects, ())
            if not found.objects:
                return mine
            plan = _plan(found, rng)
            at = await append(store, at, plan, tries)
            mine += sum(each.count for each in plan.consumed)
        except Taken as taken:
            at = taken.head
        except Retryable:
            at = None  # it may be there, or still come


def _plan(found: live.Live, rng: random.Random) -> Draft:
    attempt = f"{rng.getrandbits(64):016x}"
    consumed = []
    for key, each in rng.sample(sorted(found.objects.items()), rng.randint(1, len(found.objects))):
        lines = [line for first, last in each.lines for line in range(first, last + 1)]
        some = line_ranges.of(rng.sample(lines, rng.randint(1, len(lines))))
        whole = rng.random() < 0.3
        consumed.append((key, None if whole else some, each.left if whole else line_ranges.count(some)))
    number = sum(count for _, _, count in consumed)
    moved = output(MAIN, QUARANTINE, found.head.seq + 1, attempt, number)
    return draft(Kind.RELEASE, consumed, {Became.ACCEPTED: number}, [moved], attempt)


@pytest.mark.parametrize("seed", range(40))
async def test_racing_consumers_consume_each_record_once(seed: int) -> None:
    rng = random.Random(seed)

    async def turn() -> None:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)

    store = MemoryStore(turn=turn, faults=Faults(seed))
    store.faults.storm(0.2, lands_after=rng.choice([1, 3, 9]))
    tries = with_changes(Retry(attempts=6), sleep=no_sleep, rng=rng)
    objects = [intake(QUARANTINE, first, rng.randint(1, 6)) for first in (0, 10, 20)]
    consumers = (consume(store, objects, random.Random(f"{seed}/{who}"), tries) for who in range(3))
    known = sum(await asyncio.gather(*consumers))
    store.faults.clear()
    store.land_late_writes()
    chain = await head(store, QUARANTINE, retry())
    lines = {stored.key: [0] * stored.records for stored in objects}
    for entry in chain.entries:
        for each in entry.consumed:
            taken = lines[each.key]
            rest = tuple((line, line) for line, times in enumerate(taken) if not times)
            for first, last in rest if each.records is None else each.records:
                for line in range(first, last + 1):
                    taken[line] += 1
    assert {times for taken in lines.values() for times in taken} == {1}
    assert known <= sum(stored.records for stored in objects)
    found = await live.unit(store, MAIN, [], retry())
    assert sum(each.left for each in found.objects.values()) == sum(each.records for each in objects)
    assert unit_chain.again(chain, chain.entries[0])
