"""What shredding keys makes unreadable, counted from what readers are shown. Pure."""

from collections.abc import Collection

from workers.intake.dispositions import Clock
from workers.ledger.entries import StoredObject
from workers.sealing.keys import Unit
from workers.sealing.rows import named


class KeyLoss:
    """Of the rows called `names`. Give every object of `workspaces` that has live records to `count`."""

    def __init__(self, names: Collection[str]) -> None:
        self.objects = self.records = self.stored_bytes = 0
        self.days: set[str] = set()
        owners = [named(name) for name in names]
        self._workspaces = {owner for owner in owners if isinstance(owner, str)}
        self._units = {owner for owner in owners if isinstance(owner, Unit)}
        self.workspaces = sorted(self._workspaces | {unit.workspace for unit in self._units})

    def count(self, stored: StoredObject, records: int) -> None:
        """`records`: those that are live."""
        unit = Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))
        if stored.workspace in self._workspaces or unit in self._units:
            self.objects += 1
            self.records += records
            self.stored_bytes += stored.stored_bytes
            self.days.add(stored.day)
