"""Partitions that stand still until a person has acted: why, and when each is looked at again."""

from collections.abc import Mapping

import structlog

from workers.errors import Fatal
from workers.ledger.halts import ACKNOWLEDGED, cause_of
from workers.observe import metrics

log = structlog.get_logger()

LOSS_LOOK = 10.0  # seconds between looks whether a halted partition's loss was put on record meanwhile
HALT_LOOK = 300.0  # and whether what halted another one was mended: to find that out costs a flush


class Halts:
    """Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._why: dict[int, Fatal] = {}
        self._look_due: dict[int, float] = {}  # when it is claimed again

    @property
    def why(self) -> Mapping[int, Fatal]:
        """By partition."""
        return self._why

    def add(self, number: int, error: Fatal, uptime: float) -> None:
        """Told once: what is looked at again and is as it was is no news."""
        cause, before = cause_of(error), self._why.get(number)
        self._why[number] = error
        self._look_due[number] = uptime + (LOSS_LOOK if cause in ACKNOWLEDGED else HALT_LOOK)
        if before is not None and cause_of(before) == cause:
            return
        metrics.HALTS.labels(cause=cause).inc()
        log.error("partition_halted", partition=number, cause=cause, error=error.message, remedy=error.remedy)

    def over(self, number: int) -> None:
        self._why.pop(number, None)

    def due(self, uptime: float) -> frozenset[int]:
        """Those to be claimed again, one look at a time: a person may have mended it, or acknowledged the
        loss."""
        due = frozenset(number for number in self._why if uptime >= self._look_due[number])
        self._look_due.update(dict.fromkeys(due, uptime + HALT_LOOK))
        return due
