"""What a unit entry says, in which bytes, and what makes one wrong by itself."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.unit.ledger.units import DAY, MAIN, NOBODYS, QUARANTINE, draft, intake, output
from workers.errors import Fatal
from workers.intake.dispositions import Clock
from workers.ledger import unit_entries as entries
from workers.ledger.unit_chain import UnitHead, _entry
from workers.ledger.unit_entries import Became, Consumed, Kind, UnitEntry, feeders
from workers.sealing.keys import Unit

OTHER = Unit("beta", "site", DAY, Clock.MAIN)
HELD = intake(QUARANTINE, 0, 5)


def released(unit: Unit = QUARANTINE, into: Unit = MAIN, kind: Kind = Kind.RELEASE) -> UnitEntry:
    """Three of five records leave quarantine."""
    moved = output(into, unit, 1, "a" * 16, 3)
    some = draft(kind, [(HELD.key, ((0, 1), (4, 4)), 3)], {Became(moved.disposition): 3}, [moved])
    return _entry(UnitHead(unit, 0, None, ()), some)


def wrong(entry: UnitEntry) -> list[str]:
    return [
        *entries.malformed(entry),
        *entries.miscounts(entry),
        *(key for key, _ in entries.misplaced(entry)),
    ]


def test_an_entry_is_canonical_json_and_read_back() -> None:
    entry = released()
    body = entries.encode(entry)
    assert entries.decode(body, QUARANTINE, 1) == entry
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    assert json.loads(body)["consumed"] == [{"count": 3, "key": HELD.key, "records": [[0, 1], [4, 4]]}]
    assert json.loads(body)["counts"] == {"accepted": {"because": 3}}
    assert not wrong(entry)
    assert entry.key == f"units/v1/ws=acme/src=shop/day={DAY}/clock=quarantine/00000001.json"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[]", b"[" * 100_000])
def test_what_is_no_entry_is_named(body: bytes) -> None:
    with pytest.raises(Fatal, match=released().key):
        entries.decode(body, QUARANTINE, 1)


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"seq": 2}, {"workspace": "beta"}, {"day": "2026-11-26"}, {"clock": "main"}],
    ids=str,
)
def test_an_entry_of_another_place_or_format_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Fatal, match=released().key):
        entries.decode(entries.encode(replace(released(), **change)), QUARANTINE, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"consumed": ()},
        {"consumed": (Consumed(HELD.key, ((0, 1), (4, 4)), 4),)},
        {"consumed": (Consumed(HELD.key, ((0, 1), (1, 1)), 3),)},
        {"consumed": (Consumed(HELD.key, ((4, 4), (0, 1)), 3),)},
        {"consumed": (Consumed(HELD.key, (), 3),)},
        {"consumed": (Consumed(HELD.key, ((0, 2),), 3), Consumed("another", None, 0))},
        {"consumed": (Consumed(HELD.key, ((0, 0),), 1), Consumed(HELD.key, ((1, 2),), 2))},
        {"counts": {Became.ACCEPTED: {"because": 2}}},
        {"counts": {Became.ACCEPTED: {"because": 4, "or": -1}}},
        {"counts": {Became.FLAGGED: {"because": 3}}},
        {"counts": {Became.ACCEPTED: {"because": 3}, Became.DISCARDED: {"because": 1}}},
        {"outputs": ()},
        {"outputs": (output(MAIN, QUARANTINE, 1, "a" * 16, 2),)},
        {"outputs": (output(MAIN, QUARANTINE, 2, "a" * 16, 3),)},  # of another entry
        {"outputs": (output(MAIN, QUARANTINE, 1, "b" * 16, 3),)},  # of another attempt
        {"outputs": (output(MAIN, MAIN, 1, "a" * 16, 3),)},  # of another chain
        {"outputs": (output(OTHER, QUARANTINE, 1, "a" * 16, 3),)},  # in another workspace
        {"outputs": (output(MAIN._replace(day="2026-11-26"), QUARANTINE, 1, "a" * 16, 3),)},
        {"outputs": (replace(output(MAIN, QUARANTINE, 1, "a" * 16, 3), clock="quarantine"),)},
        {"outputs": (intake(MAIN, 0, 3),)},
        {"kind": Kind.DISPOSE},
        {"kind": Kind.COMPACT},  # which puts them into its own unit
        {"previous": "0" * 64},
        {"seq": 2},
    ],
    ids=str,
)
def test_an_entry_that_contradicts_itself_is_told(change: dict[str, Any]) -> None:
    assert wrong(replace(released(), **change))


@pytest.mark.parametrize(
    ("kind", "unit", "into", "may"),
    [
        (Kind.REPLAY, NOBODYS, OTHER, True),
        (Kind.REPLAY, NOBODYS, QUARANTINE, True),
        (Kind.REPLAY, NOBODYS, NOBODYS, False),
        (Kind.RELEASE, QUARANTINE, MAIN, True),
        (Kind.RELEASE, QUARANTINE, QUARANTINE, False),
        (Kind.RELEASE, MAIN, QUARANTINE, False),
        (Kind.COMPACT, MAIN, MAIN, True),
        (Kind.ERASE, MAIN, MAIN, True),
        (Kind.ERASE, MAIN, OTHER, False),
    ],
)
def test_where_outputs_may_land(kind: Kind, unit: Unit, into: Unit, may: bool) -> None:
    assert bool(entries.misplaced(released(unit, into, kind))) is not may


@pytest.mark.parametrize("unit", [MAIN, QUARANTINE, NOBODYS, OTHER])
def test_a_unit_is_fed_by_units_of_its_day(unit: Unit) -> None:
    fed_by = feeders(unit)
    assert unit not in fed_by
    assert {each.day for each in fed_by} <= {unit.day}
    assert len(fed_by) == {"main": 2, "quarantine": 1, "unclaimed": 0}[unit.clock]
