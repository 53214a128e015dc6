"""For how long what is stored is kept: the one definition, for the rules of intake and for the retain role.

Days are UTC, by the broker's append time. A missing policy means keep, a hold beats everything, and a term
that shortens is not in force before its time (docs/retention.md).
"""

from typing import NamedTuple

from topics.workspaces import Workspace, WorkspaceState
from workers.intake.dispositions import DEAD_LETTERS, UNCLAIMED, Clock

DAY = 86_400_000  # ms
BEGINNING, END = -(2**63), 2**63  # ms: no append time is outside

# of the platform's own, so that intake and the retain role can't differ: no settings
QUARANTINE_DAYS = 30
UNCLAIMED_DAYS = 7
DEAD_LETTER_DAYS = 30


class Term(NamedTuple):
    """`days` None keeps for ever. `effective_from` (ms since the epoch): nothing is past it before then."""

    days: int | None
    held: bool = False
    closed: bool = False
    effective_from: int | None = None

    def kept_since(self, now: int) -> int:
        """What was appended before this (ms since the epoch) is past its retention."""
        if self.held or now < (self.effective_from or 0):
            return BEGINNING
        if self.closed:
            return END
        return BEGINNING if self.days is None else (now // DAY - self.days) * DAY


def term_of(workspace: Workspace, source: str, clock: Clock = Clock.MAIN) -> Term:
    """Of a customer's source, listed or not. A quarantine never outlasts the retention."""
    own = workspace.source(source)
    days = own.retention_days if own and own.retention_days is not None else workspace.retention_days
    if clock is not Clock.MAIN:
        days = QUARANTINE_DAYS if days is None else min(days, QUARANTINE_DAYS)
    return Term(
        days,
        held=workspace.legal_hold,
        closed=workspace.state is WorkspaceState.CLOSED,
        effective_from=workspace.effective_from,
    )


PLATFORM_TERMS = {UNCLAIMED: Term(UNCLAIMED_DAYS), DEAD_LETTERS: Term(DEAD_LETTER_DAYS)}  # by source
