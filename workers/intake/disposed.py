"""Days that were disposed of and that would be kept now: by a hold or a longer term, or by a slow clock.

Their keys are gone, so records that come late can be stored no more. Who finds that out says it here, and the
rules refuse them (`past_retention`, and the platform's own `past_platform_retention`).
"""

from bisect import bisect
from datetime import date
from typing import NamedTuple

from workers.intake.dispositions import Clock
from workers.intake.kept import BEGINNING, DAY, END

EPOCH = date(1970, 1, 1).toordinal()


class Span(NamedTuple):
    """Append times [since, until), in ms, of which the same clocks were disposed of."""

    clocks: frozenset[Clock] = frozenset()
    since: int = BEGINNING
    until: int = END


NOTHING = Span()


class Disposed:
    """Memory: about 300 bytes a day of a source for which records came late; there are few."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, str], dict[int, frozenset[Clock]]] = {}  # days since 1970

    def add(self, workspace: str, source: str, day: str, clock: Clock) -> None:
        """`day`: UTC, YYYY-MM-DD. It stays so: no key comes back."""
        days = self._days.setdefault((workspace, source), {})
        number = date.fromisoformat(day).toordinal() - EPOCH
        days[number] = days.get(number, frozenset()) | {clock}

    def at(self, workspace: str, source: str, appended: int) -> Span:
        """Around `appended` (ms since the epoch). Asked once a plan, not once a record."""
        days = self._days.get((workspace, source))
        if days is None:
            return NOTHING
        number = appended // DAY
        if number in days:
            return Span(days[number], number * DAY, (number + 1) * DAY)
        known = sorted(days)
        behind = bisect(known, number)
        since = (known[behind - 1] + 1) * DAY if behind else BEGINNING
        until = known[behind] * DAY if behind < len(known) else END
        return Span(frozenset(), since, until)
