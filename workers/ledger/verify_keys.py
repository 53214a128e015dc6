"""What the keystore's rows and fleet.json must say for objects to be opened. Needs no root key."""

from collections import OrderedDict
from collections.abc import Collection
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import fleet
from workers.ledger.chain import read
from workers.ledger.names import FLEET
from workers.ledger.verify_report import Kind, NoteKind, Report
from workers.sealing.flights import Flights
from workers.sealing.keys import Unit
from workers.sealing.refusals import KeyDisabled, KeyShredded, NoSuchKey
from workers.sealing.replicas import Replicas
from workers.sealing.rows import PREFIX, UnitRow, unit_row
from workers.sealing.workspaces import usable
from workers.store.port import Denied, Store
from workers.store.retry import Retry

KEPT = 20_000  # units


class KeyState(NamedTuple):
    """A unit's key as its row has it."""

    generation: int = 0
    wrong: Kind | None = None
    detail: str = ""
    withdrawn: bool = False  # disabled or shredded: nothing can be opened, and that is how it should be


class KeyRows:
    """The units' rows, the last KEPT of them from memory."""

    def __init__(self, replicas: Replicas, retry: Retry) -> None:
        self._replicas, self._retry = replicas, retry
        self._known: OrderedDict[Unit, KeyState] = OrderedDict()
        self._flights = Flights()

    async def readable(self, report: Report) -> bool:
        """Whether this auditor may read rows; a note says so where it may not."""
        store = self._replicas.stores[0]
        try:
            async for _ in store.list(PREFIX, limit=1):
                break
        except Denied as error:
            report.note(NoteKind.KEYS_UNREADABLE, PREFIX, error.message)
            return False
        return True

    async def of(self, unit: Unit) -> KeyState:
        known = self._known.get(unit)
        if known is not None:
            self._known.move_to_end(unit)
            return known
        found = await self._flights.join(unit, lambda: self._read(unit))
        self._known[unit] = found
        while len(self._known) > KEPT:
            self._known.popitem(last=False)
        return found

    async def _read(self, unit: Unit) -> KeyState:
        name = unit_row(unit)
        try:
            row = await self._retry.call(lambda: self._replicas.read(name))
            if row is None:
                return KeyState(wrong=Kind.MISSING_KEY, detail=f"there is no {name}")
            return KeyState(usable(row, name, UnitRow).generation)
        except (KeyShredded, KeyDisabled):
            return KeyState(withdrawn=True)
        except NoSuchKey as error:
            return KeyState(wrong=Kind.MISSING_KEY, detail=error.message)
        except Fatal as error:
            return KeyState(wrong=Kind.BROKEN_KEY, detail=error.message)


async def check_fleet(ledger: Store, roots: Collection[str] | None, retry: Retry, report: Report) -> None:
    """`roots`: fingerprints of those that are to open objects. Raises Fatal for another fleet's."""
    body = await read(ledger, FLEET, retry)
    if body is None:
        report.found(Kind.MISSING_FLEET, FLEET, "nothing says which root key and cluster this ledger is of")
        return
    try:
        stored = fleet.decode(body, f"{ledger.name}/{FLEET}")
    except Fatal as error:
        report.found(Kind.BROKEN_FLEET, FLEET, error.message)
        return
    if roots is not None:
        fleet.check_readable(stored, roots, f"{ledger.name}/{FLEET}")
