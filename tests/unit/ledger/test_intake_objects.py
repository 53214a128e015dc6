"""A unit's intake objects are found by the names in the bucket, and only those that an entry lists."""

from typing import Any

import pytest

from tests.unit.intake.making import TODAY
from tests.unit.ledger.audited import ENTRIES, OFFSETS, Archive, archived, flushed
from tests.unit.ledger.world import GROUP, closing_of, retry
from workers.errors import Fatal
from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, Clock
from workers.ledger import entries
from workers.ledger.entries import AsFound, Opens
from workers.ledger.intake_objects import IntakeObjects
from workers.sealing.keys import Unit
from workers.store.memory import MemoryStore

ACME = Unit("acme", "shop", TODAY, Clock.MAIN)
LETTERS = Unit(PLATFORM, DEAD_LETTERS, TODAY, Clock.MAIN)


async def found(archive: Archive, unit: Unit = ACME) -> list[str]:
    objects = IntakeObjects(archive.store, archive.store, retry())
    return [stored.key async for stored in objects.of(unit)]


@pytest.mark.parametrize(("unit", "disposition"), [(ACME, "accepted"), (LETTERS, "dead-lettered")])
async def test_what_entries_list_of_a_unit_is_found(unit: Unit, disposition: str) -> None:
    archive = await archived(MemoryStore())
    expected = [(await archive.object(index, disposition)).key for index in range(ENTRIES)]
    assert await found(archive, unit) == expected


@pytest.mark.parametrize(
    "changed",
    [{"source": "site"}, {"day": "2026-11-27"}, {"clock": Clock.QUARANTINE}, {"workspace": "acm"}],
    ids=str,
)
async def test_other_units_have_none_of_it(changed: dict[str, Any]) -> None:
    assert await found(await archived(MemoryStore()), ACME._replace(**changed)) == []


async def test_what_no_entry_lists_is_not_found() -> None:
    archive = await archived(MemoryStore())
    before = await found(archive)
    group = GROUP._replace(day=TODAY)
    for first in (0, archive.heads[-1].next):
        await archive.store.put(archive.chain.data(group, first, first + OFFSETS, "f" * 16), b"x")
    await archive.store.put(f"data/ws=acme/src=shop/day={TODAY}/accepted/mine.csv", b"x")
    assert await found(archive) == before


async def test_an_entry_is_read_once_and_others_not_at_all() -> None:
    archive = await archived(MemoryStore())
    objects = IntakeObjects(archive.store, archive.store, retry())
    archive.store.requests.clear()
    assert [stored async for stored in objects.of(ACME)]
    first = archive.store.requests["get"]
    assert first <= ENTRIES + 3  # and its chain's end
    assert [stored async for stored in objects.of(LETTERS)]
    assert archive.store.requests["get"] == first


async def test_a_broken_entry_is_named() -> None:
    archive = await archived(MemoryStore())
    await archive.replaced(archive.key(1), b"eaten by moths")
    with pytest.raises(Fatal, match=archive.key(1)):
        await found(archive)


async def test_what_a_closing_gave_up_or_came_behind_it_is_not_found() -> None:
    archive = await archived(MemoryStore())
    before, newest = await found(archive), archive.heads[-1]
    late = list(archive.heads)
    await flushed(archive, late)
    body = (await archive.store.get(archive.key(1))).body
    given_up = AsFound(archive.key(1).rpartition("/")[2], entries.digest(body))
    await archive.closed(
        closing_of(
            newest,
            Opens(archive.chain.topic_id, 2, newest.next),
            first=late[-1].next,  # behind what was written by somebody who did not know that it ended
            broken=(given_up,),
        )
    )
    assert await found(archive) == [key for key in before if key != before[1]]
