"""Reads what is archived, through the ledger: an object that no entry lists is never seen."""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Protocol

from workers.errors import Fatal, Poison
from workers.intake.dispositions import Clock
from workers.ledger.entries import StoredObject
from workers.ledger.line_ranges import Ranges
from workers.ledger.pack import unpack
from workers.ledger.shown import Selection, Showing
from workers.sealing.keys import Unit
from workers.store.port import Got, NotFound, Store
from workers.store.retry import Retry


class UnitOpener(Protocol):
    def open(self, body: bytes, metadata: dict[str, str], object_key: str) -> bytes: ...


class Keys(Protocol):
    async def unit_key(self, unit: Unit, *, create: bool) -> UnitOpener: ...


async def read(
    ledger: Store, data: Store, keys: Keys, selection: Selection, retry: Retry
) -> AsyncIterator[tuple[StoredObject, list[bytes]]]:
    """The selected objects, each with its live lines (without line ends). Memory: one object.

    Raises Fatal for an object that is missing, altered, or does not hold what its entry says; but one that
    was disposed of while this ran is passed over.
    """
    showing = Showing(ledger, selection, retry)
    async for shown in showing.all():
        try:
            lines = await open_object(data, keys, shown.stored, retry)
        except (Fatal, Poison):
            if not await showing.ended(shown):
                raise
            continue
        yield shown.stored, lines if shown.lines is None else _some(lines, shown.lines)


def _some(lines: Sequence[bytes], ranges: Ranges) -> list[bytes]:
    return [line for first, last in ranges for line in lines[first : last + 1]]


async def open_object(data: Store, keys: Keys, stored: StoredObject, retry: Retry) -> list[bytes]:
    """All lines of an object, live or not."""
    try:
        got: Got = await retry.call(lambda: data.get(stored.key))
    except NotFound:
        raise _differs(data, stored, "is not there") from None
    if sha256(got.body).hexdigest() != stored.sha256:
        raise _differs(data, stored, "is not the object that was archived")
    unit = Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))
    key = await retry.call(lambda: keys.unit_key(unit, create=False))
    lines = unpack(stored.key, key.open(got.body, dict(got.metadata), stored.key)).splitlines()
    if len(lines) != stored.records:
        raise _differs(data, stored, f"holds {len(lines)} records, its entry says {stored.records}")
    return lines


def _differs(data: Store, stored: StoredObject, how: str) -> Fatal:
    return Fatal(
        f"{data.name}/{stored.key} {how}",
        remedy="Run `strongroom verify`, and restore the object from its versions or a replica",
    )
