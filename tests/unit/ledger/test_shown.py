"""Readers see what is live, each record in one place, however unit chains move meanwhile."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from msgspec.structs import replace

from tests.unit.intake.making import TODAY
from tests.unit.ledger.audited import ENTRIES, ROOTS, archived
from tests.unit.ledger.chained import ACME, ACMES, LATE, NOBODYS, Chained, chained
from tests.unit.ledger.world import retry
from workers.errors import Fatal
from workers.intake.dispositions import Disposition
from workers.ledger import shown
from workers.ledger.manifest import Listed, manifest
from workers.ledger.names import unit_entry
from workers.ledger.read import read
from workers.ledger.shown import Selection
from workers.ledger.unit_entries import Became, Kind
from workers.ledger.walk import entries_of
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.store.memory import MemoryStore

ALL = Selection("acme")


async def listed(at: Chained, selection: Selection = ALL) -> list[Listed]:
    return [line async for line in manifest(at.store, selection, retry())]


def reading(at: Chained, selection: Selection = ALL) -> AsyncIterator[tuple[str, list[bytes]]]:
    keys = Keystore([at.store], ROOTS, life=3600)

    async def told() -> AsyncIterator[tuple[str, list[bytes]]]:
        async for stored, lines in read(at.store, at.store, keys, selection, retry()):
            yield stored.key, lines

    return told()


async def test_what_is_live_is_shown_and_nothing_else() -> None:
    at = await chained(MemoryStore())
    partly, whole = [(await at.at.object(index)).key for index in (1, 3)]
    output = (await at.output(ACME, 1)).key
    assert [each async for each in reading(at)] == [
        (partly, [ACMES] * 2),
        (whole, [ACMES] * 4),
        (output, [ACMES] * 6 + [LATE] * 2),
    ]
    lines = await listed(at)
    assert [line.key for line in lines] == [partly, whole, output]
    assert [line.records for line in lines] == [4, 4, 8]
    assert lines[0].live == ((0, 0), (3, 3))
    assert b'"live"' not in msgspec.json.encode(lines[1])
    assert (lines[2].day, lines[2].disposition) == (TODAY, Disposition.ACCEPTED)
    assert lines[2].context["object"] == output


async def test_what_nobody_claimed_and_was_disposed_of_is_not_shown() -> None:
    at = await chained(MemoryStore())
    unclaimed = Selection("_platform", source="unclaimed")
    assert [each async for each in reading(at, unclaimed)] == []
    assert await listed(at, unclaimed) == []
    beta = [await at.at.object(index, workspace="beta") for index in (1, 2, 3)]
    assert [line.key for line in await listed(at, Selection("beta"))] == [each.key for each in beta]


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        (Selection("acme", source="shop"), 3),
        (Selection("acme", source="site"), 0),
        (Selection("acme", day=TODAY), 3),
        (Selection("acme", day="2026-11-27"), 0),
        (Selection("acme", dispositions=frozenset({Disposition.FLAGGED})), 0),
    ],
)
async def test_outputs_are_narrowed_as_the_rest(selection: Selection, count: int) -> None:
    assert len(await listed(await chained(MemoryStore()), selection)) == count


async def test_without_unit_chains_it_costs_two_lists_more() -> None:
    at = Chained(await archived(MemoryStore()))
    at.store.requests.clear()
    async for _ in entries_of(at.store, retry()):
        pass
    before = at.store.requests.copy()
    at.store.requests.clear()
    assert len(await listed(at)) == ENTRIES
    assert at.store.requests - before == {"list": 2}
    assert before - at.store.requests == {}


async def test_a_chain_is_read_once_for_all_its_objects() -> None:
    at = await chained(MemoryStore())
    at.store.requests.clear()
    await listed(at)
    ledger = ENTRIES + 1 + 2  # and the genesis, and what is not there behind the last
    assert at.store.requests["get"] <= ledger + 2 * 2 + 4


async def moved(at: Chained) -> None:
    """All of acme's records are in one new object."""
    whole, partly, output = await at.at.object(3), await at.at.object(1), await at.output(ACME, 1)
    into = await at.sealed(ACME, ACME, 3, [ACMES] * 12 + [LATE] * 2)
    inputs = [(whole.key, None, 4), (partly.key, None, 2), (output.key, None, 8)]
    await at.consumed(ACME, Kind.COMPACT, inputs, Became.ACCEPTED, into)


@pytest.mark.parametrize("kept", [0, 64])
@pytest.mark.parametrize("after", range(4))
async def test_what_is_moved_meanwhile_is_shown_in_one_place(
    after: int, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the chain is read again, and goes on behind what was there at the beginning."""
    monkeypatch.setattr(shown, "CHAINS_KEPT", kept)
    at = await chained(MemoryStore())
    records = 0
    seen = 0
    if after == 0:
        await moved(at)
    async for _, lines in reading(at):
        seen += 1
        records += len(lines)
        if seen == after:
            await moved(at)
    assert records == 14
    assert [len(lines) async for _, lines in reading(at)] == [14]


async def test_what_is_disposed_of_meanwhile_is_passed_over() -> None:
    at = await chained(MemoryStore())
    whole = (await at.at.object(3)).key
    seen = []
    async for key, _ in reading(at):
        seen.append(key)
        if len(seen) == 1:
            await at.consumed(ACME, Kind.DISPOSE, [(whole, None, 4)], Became.DISPOSED)
            await at.store.delete([whole])
    assert whole not in seen
    assert len(seen) == 2


async def test_what_is_moved_and_deleted_meanwhile_is_not_passed_over() -> None:
    """It is somewhere else now, where this reader does not look any more."""
    at = await chained(MemoryStore())
    whole = (await at.at.object(3)).key
    told = reading(at)
    await anext(told)
    await moved(at)
    await at.store.delete([whole])
    with pytest.raises(Fatal, match="is not there"):
        await anext(told)


async def test_what_is_missing_without_an_entry_is_not_passed_over() -> None:
    at = await chained(MemoryStore())
    await at.store.delete([(await at.at.object(3)).key])
    with pytest.raises(Fatal, match="is not there"):
        assert [each async for each in reading(at)]


@pytest.mark.parametrize("unit", [ACME, NOBODYS], ids=str)
async def test_a_broken_chain_is_not_passed_over(unit: Unit) -> None:
    at = await chained(MemoryStore())
    key = unit_entry(unit, 1)
    await at.at.replaced(key, b"eaten by moths")
    with pytest.raises(Fatal, match=key):
        await listed(at)


async def test_an_output_that_is_not_its_entrys_is_refused() -> None:
    """It might be another workspace's."""
    at = await chained(MemoryStore())
    stored = replace(await at.at.object(1, workspace="beta"), workspace="acme", source="shop")
    await at.forged(ACME, 2, lambda entry: replace(entry, outputs=(stored,)))
    with pytest.raises(Fatal, match="as an object of acme") as refused:
        await listed(at)
    assert unit_entry(ACME, 2) in refused.value.message
