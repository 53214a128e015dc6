"""Reads what is archived, through the ledger: an object that no entry lists is never seen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from workers.errors import Fatal
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.pack import unpack
from workers.ledger.walk import chains, walk
from workers.sealing.keys import Unit
from workers.store.port import Got, NotFound, Store
from workers.store.retry import Retry


class UnitOpener(Protocol):
    def open(self, body: bytes, metadata: dict[str, str], object_key: str) -> bytes: ...


class Keys(Protocol):
    async def unit_key(self, unit: Unit, *, create: bool) -> UnitOpener: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects a reader asks for; None means any."""

    workspace: str
    source: str | None = None
    day: str | None = None  # YYYY-MM-DD
    dispositions: frozenset[Disposition] | None = None

    def has(self, stored: StoredObject) -> bool:
        return (
            stored.workspace == self.workspace
            and self.source in (None, stored.source)
            and self.day in (None, stored.day)
            and (self.dispositions is None or stored.disposition in self.dispositions)
        )


async def entries_of(ledger: Store, retry: Retry) -> AsyncIterator[Entry]:
    """Every entry of every chain."""
    async for chain in chains(ledger, retry):
        async for entry in walk(ledger, chain, retry):
            yield entry


async def read(
    ledger: Store, data: Store, keys: Keys, selection: Selection, retry: Retry
) -> AsyncIterator[tuple[StoredObject, list[bytes]]]:
    """The selected objects, each with its lines (without line ends). Memory: one object.

    Raises Fatal for an object that is missing, altered, or does not hold what its entry says.
    """
    async for entry in entries_of(ledger, retry):
        for stored in entry.objects:
            if selection.has(stored):
                yield stored, await open_object(data, keys, stored, retry)


async def open_object(data: Store, keys: Keys, stored: StoredObject, retry: Retry) -> list[bytes]:
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
