"""Units that were found to be disposed of when records came late for them, and who has sorted by that."""

import structlog

from workers.intake.policy import Policy
from workers.ledger.flush import UnitsDisposed
from workers.sealing.keys import Unit

log = structlog.get_logger()


class LateUnits:
    """Of a worker. `policy` is what its sorter goes by."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # units, and how many were known when each partition was claimed
        self._disposed: dict[Unit, int] = {}
        self._knew: dict[int, int] = {}

    def claimed(self, number: int) -> None:
        """What is sorted of the partition from here on is sorted by all that is known now."""
        self._knew[number] = len(self._disposed)

    def refuse(self, number: int, found: UnitsDisposed) -> bool:
        """From now on the sorter refuses what comes for these units: the batch is to be sorted again.

        False where it knew already when it sorted them: then only a person can help.
        """
        if any(self._disposed.get(unit, self._knew[number]) < self._knew[number] for unit in found.units):
            return False
        for unit in found.units - self._disposed.keys():
            self._disposed[unit] = len(self._disposed)
            self._policy.disposed_of(*unit)
        units = sorted("/".join(unit) for unit in found.units)
        log.warning("late_records_refused", partition=number, units=len(units), examples=units[:10])
        return True
