"""Faults in unit chains, in what they consume, and in their outputs."""

from typing import Any

from msgspec.structs import replace

from tests.unit.intake.making import TODAY
from tests.unit.ledger.chained import ACME, ACMES, ATTEMPT, BETA, BETAS, Chained
from tests.unit.ledger.planting import UNITS, UNITS_DEEP, UNITS_VERSIONED, of
from tests.unit.ledger.units import output
from tests.unit.ledger.world import GROUP
from workers.ledger import unit_entries as entries
from workers.ledger.entries import digest
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import unit_entry
from workers.ledger.unit_entries import Became, Consumed, Kind

BETA_1 = unit_entry(BETA, 1)  # the only entry of its chain, whose input's bytes are still there
ACME_2 = unit_entry(ACME, 2)


# -- the chain ---------------------------------------------------------------------------------------


@of(UNITS, "unit_hole", "missing_object")
async def unit_entry_missing(at: Chained) -> None:
    """And with it the leave for what is gone: the rest of the chain proves nothing."""
    await at.store.delete([unit_entry(ACME, 1)])


@of(UNITS, "missing_object")
async def newest_unit_entry_missing(at: Chained) -> None:
    await at.store.delete([ACME_2])


@of(UNITS, "unit_hole")
async def unit_entry_missing_that_an_output_knew(at: Chained) -> None:
    await at.sealed(BETA, BETA, 2, [BETAS])
    await at.store.delete([BETA_1])


@of(UNITS, "unit_hole")
async def gap_in_a_unit_chain(at: Chained) -> None:
    rest = Consumed((await at.at.object(1, workspace="beta")).key, None, 2)
    await at.added(BETA, 1, seq=3, consumed=(rest,))
    body = (await at.store.get(unit_entry(BETA, 2))).body
    await at.store.delete([unit_entry(BETA, 2)])
    await at.store.put(unit_entry(BETA, 3), body)


@of(UNITS, "broken_entry")
async def unit_entry_no_json(at: Chained) -> None:
    await at.at.replaced(BETA_1, b"\xff")


@of(UNITS, "broken_entry")
async def unit_entry_truncated(at: Chained) -> None:
    await at.at.replaced(BETA_1, (await at.store.get(BETA_1)).body[:-9])


@of(UNITS, "unknown_format")
async def unit_entry_of_a_format_to_come(at: Chained) -> None:
    await at.at.replaced(BETA_1, entries.encode(replace(await at.entry(BETA, 1), format=2)))


@of(UNITS, "foreign_entry")
async def unit_entry_of_another_unit(at: Chained) -> None:
    await at.at.replaced(BETA_1, (await at.store.get(unit_entry(ACME, 1))).body)


@of(UNITS, "foreign_entry")
async def unit_entry_twice(at: Chained) -> None:
    await at.store.put(unit_entry(BETA, 2), (await at.store.get(BETA_1)).body)


@of(UNITS, "consumed_twice")
async def unit_entry_twice_and_linked(at: Chained) -> None:
    await at.added(BETA, 1)


@of(UNITS, "not_canonical")
async def unit_entry_with_more_than_it_says(at: Chained) -> None:
    body = (await at.store.get(BETA_1)).body
    await at.at.replaced(BETA_1, body[:-1] + b',"zzz":1}')


@of(UNITS, "broken_link", "missing_object")
async def unit_entry_altered(at: Chained) -> None:
    entry = await at.entry(ACME, 1)
    await at.at.replaced(unit_entry(ACME, 1), entries.encode(replace(entry, actor="nobody")))


@of(UNITS, "broken_link", "missing_object")
async def unit_entry_linked_to_nothing(at: Chained) -> None:
    entry = await at.entry(ACME, 2)
    await at.at.replaced(ACME_2, entries.encode(replace(entry, previous="0" * 64)))


@of(UNITS, "strange_key")
async def stranger_among_the_units(at: Chained) -> None:
    await at.store.put(f"units/v1/ws=acme/src=shop/day={TODAY}/clock=main/2.json", b"{}")


@of(UNITS_VERSIONED, "overwritten_entry")
async def unit_entry_overwritten(at: Chained) -> None:
    await at.store.put(BETA_1, (await at.store.get(BETA_1)).body)


@of(UNITS_VERSIONED, "deleted_entry")
async def unit_entry_deleted(at: Chained) -> None:
    await at.store.delete([BETA_1])


@of(UNITS_VERSIONED, "overwritten_object")
async def output_overwritten(at: Chained) -> None:
    key = (await at.output(ACME, 1)).key
    got = await at.store.get(key)
    await at.store.put(key, got.body, metadata=got.metadata)


# -- what is consumed --------------------------------------------------------------------------------


@of(UNITS, "consumed_twice")
async def lines_consumed_twice(at: Chained) -> None:
    await _discards(at, (await at.at.object(1)).key, ((2, 3),), 2)


@of(UNITS, "consumed_twice")
async def object_consumed_twice(at: Chained) -> None:
    await _discards(at, (await at.at.object(2)).key, None, 4)


@of(UNITS, "never_live")
async def consumed_what_no_entry_lists(at: Chained) -> None:
    key = at.at.chain.data(GROUP._replace(day=TODAY), 0, 8, "f" * 16)
    await _discards(at, key, None, 4)


@of(UNITS, "never_live")
async def consumed_what_is_another_workspaces(at: Chained) -> None:
    await _discards(at, (await at.at.object(1, workspace="beta")).key, None, 2)


@of(UNITS, "never_live")
async def consumed_lines_beyond_the_end(at: Chained) -> None:
    await _discards(at, (await at.at.object(3)).key, ((3, 4),), 2)


@of(UNITS, "never_live", "miscount")
async def consumed_its_own_output(at: Chained) -> None:
    """Not even an output of the right name was there before its entry."""
    stored = await at.sealed(ACME, ACME, 3, [ACMES])
    itself = (Consumed(stored.key, None, 1),)
    says = {"kind": Kind.COMPACT, "consumed": itself, "counts": {Became.ACCEPTED: {"x": 2}}}
    await at.added(ACME, 2, **says, outputs=(stored,))


@of(UNITS, "miscount")
async def consumed_one_record_fewer_than_counted(at: Chained) -> None:
    await _counts(at, 3)


@of(UNITS, "miscount")
async def consumed_one_record_more_than_counted(at: Chained) -> None:
    await _counts(at, 1)


@of(UNITS, "miscount")
async def rest_of_an_object_miscounted(at: Chained) -> None:
    """And so is what became of it: the sum does not tell."""
    key = (await at.at.object(1)).key
    await _discards(at, key, None, 1)


@of(UNITS, "miscount")
async def lines_miscounted(at: Chained) -> None:
    await _discards(at, (await at.at.object(3)).key, ((0, 1),), 1)


@of(UNITS, "forged_unit")
async def disposed_records_said_to_be_rejected(at: Chained) -> None:
    await at.forged(ACME, 2, lambda entry: replace(entry, counts={Became.REJECTED: {"x": 4}}))


@of(UNITS, "forged_unit")
async def lines_in_disorder(at: Chained) -> None:
    await _discards(at, (await at.at.object(3)).key, ((2, 2), (0, 0)), 2)


@of(UNITS, "forged_unit")
async def entry_that_consumes_nothing(at: Chained) -> None:
    await at.added(ACME, 2, consumed=(), counts={})


# -- what may be absent ------------------------------------------------------------------------------


@of(UNITS, "missing_object")
async def object_gone_that_is_partly_live(at: Chained) -> None:
    await at.store.delete([(await at.at.object(1)).key])


@of(UNITS, "missing_object")
async def object_gone_that_no_unit_entry_names(at: Chained) -> None:
    await at.store.delete([(await at.at.object(3)).key])


# -- outputs -----------------------------------------------------------------------------------------


@of(UNITS, "missing_object")
async def output_missing(at: Chained) -> None:
    await at.store.delete([(await at.output(ACME, 1)).key])


@of(UNITS, "object_size")
async def output_truncated(at: Chained) -> None:
    key = (await at.output(ACME, 1)).key
    got = await at.store.get(key)
    await at.at.replaced(key, got.body[:-1], got.metadata)


@of(UNITS, "foreign_seal")
async def output_swapped(at: Chained) -> None:
    keys = (await at.output(ACME, 1)).key, (await at.at.object(3)).key
    one, other = [await at.store.get(key) for key in keys]
    await at.at.replaced(keys[0], other.body, other.metadata)
    await at.at.replaced(keys[1], one.body, one.metadata)


@of(UNITS, "miscount")
async def output_with_a_record_more_than_counted(at: Chained) -> None:
    await _output_says(at, records=9)


@of(UNITS, "misplaced_object", "missing_object")
async def output_in_the_wrong_workspace(at: Chained) -> None:
    await _output_moved(at, output(BETA, ACME, 1, ATTEMPT, 8))


@of(UNITS, "misplaced_object", "missing_object")
async def output_of_the_wrong_day(at: Chained) -> None:
    await _output_moved(at, output(ACME._replace(day="2026-11-27"), ACME, 1, ATTEMPT, 8))


@of(UNITS, "misplaced_object", "missing_object")
async def output_of_another_attempt(at: Chained) -> None:
    await _output_moved(at, output(ACME, ACME, 1, "b" * 16, 8))


@of(UNITS, "listed_twice")
async def output_listed_by_two_entries(at: Chained) -> None:
    stored = await at.output(ACME, 1)
    says = {"kind": Kind.COMPACT, "counts": {Became.ACCEPTED: {"x": 8}}}
    await at.added(ACME, 2, **says, consumed=(Consumed(stored.key, None, 8),), outputs=(stored,))


@of(UNITS_DEEP, "line_count")
async def output_that_holds_fewer_records(at: Chained) -> None:
    await _sealed_anew(at, [ACMES] * 7, records=8)


@of(UNITS_DEEP, "wrong_workspace")
async def output_that_holds_anothers_record(at: Chained) -> None:
    await _sealed_anew(at, [*[ACMES] * 7, BETAS])


async def _discards(at: Chained, key: str, lines: Ranges | None, number: int) -> None:
    """A forger's entry behind acme's last: the product would not write it."""
    consumed = (Consumed(key, lines, number),)
    counts = {Became.DISCARDED: {"x": number}}
    await at.added(ACME, 2, kind=Kind.DISCARD, consumed=consumed, counts=counts)


async def _counts(at: Chained, number: int) -> None:
    await at.forged(BETA, 1, lambda entry: replace(entry, counts={Became.DISCARDED: {"x": number}}))


async def _output_says(at: Chained, **says: Any) -> None:
    stored = replace(await at.output(ACME, 1), **says)
    await at.forged(ACME, 1, lambda entry: replace(entry, outputs=(stored,)))


async def _output_moved(at: Chained, to: Any) -> None:
    """The entry lists it elsewhere; what was there is one that nobody lists."""
    await at.forged(ACME, 1, lambda entry: replace(entry, outputs=(to,)))


async def _sealed_anew(at: Chained, lines: list[bytes], **says: Any) -> None:
    before = await at.output(ACME, 1)
    await at.store.delete([before.key])
    stored = await at.sealed(ACME, ACME, 1, lines)
    true = {name: getattr(stored, name) for name in ("records", "plain_bytes", "stored_bytes", "sha256")}
    await _output_says(at, **(true | says))
    assert digest((await at.store.get(before.key)).body) == stored.sha256
