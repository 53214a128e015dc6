"""Whether a unit is due, and why: policy and time in, a verdict out. Pure. In doubt, keep."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import NamedTuple

from topics.times import iso_ms
from topics.workspaces import Workspace, WorkspaceState
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock
from workers.intake.kept import DAY, PLATFORM_TERMS, Term, term_of
from workers.sealing.keys import Unit

# A unit is due so much later than its records are rejected (ms): what a worker took before is sealed by then
SETTLE = 3_600_000


class Reason(StrEnum):
    """Stored in tasks, entries and certificates, and the metrics' label: these never change."""

    # due
    RETENTION = "retention"
    CLOSED = "closed"
    QUARANTINE = "quarantine"
    UNCLAIMED = "unclaimed"
    DEAD_LETTERS = "dead_letters"
    # kept
    NOT_YET = "not_yet"
    FOREVER = "forever"
    HELD = "held"
    GRACE = "grace"
    UNKNOWN_WORKSPACE = "unknown_workspace"
    IN_DOUBT = "in_doubt"
    NO_POLICY = "no_policy"
    NO_DAY = "no_day"


DUE = frozenset({Reason.RETENTION, Reason.CLOSED, Reason.QUARANTINE, Reason.UNCLAIMED, Reason.DEAD_LETTERS})
# of these nobody can say what the policy wants: what is under way stands still
UNSURE = frozenset({Reason.UNKNOWN_WORKSPACE, Reason.IN_DOUBT, Reason.NO_POLICY, Reason.NO_DAY})


class Unusable(StrEnum):
    """Why a copy of policy lets nothing be deleted."""

    EMPTY = "empty"
    STALE = "stale"


class PolicyView(NamedTuple):
    """What is known of policy at one moment. `in_doubt`: their newest record could not be read."""

    workspaces: Mapping[str, Workspace]
    in_doubt: frozenset[str] = frozenset()
    unusable: Unusable | None = None

    @property
    def why_not(self) -> Unusable | None:
        """A fleet without a customer has lost its policy: it deletes nothing, of its own neither."""
        return self.unusable or (None if self.workspaces else Unusable.EMPTY)


class Verdict(NamedTuple):
    """`at`: when the unit became due, or becomes so if nothing changes (ms since the epoch).

    `by_term`: of one that is due: when it would have been if its term had always stood; None of a closed
    workspace's, which no term makes due.
    """

    reason: Reason
    words: str
    at: int | None = None
    by_term: int | None = None
    policy: tuple[int, int] | None = None  # shard and seq of the workspace's record

    @property
    def due(self) -> bool:
        return self.reason in DUE


def judge(unit: Unit, view: PolicyView, now: int) -> Verdict:
    """Of one unit at `now` (ms since the epoch)."""
    if (why := view.why_not) is not None:
        return Verdict(Reason.NO_POLICY, f"the policy is {why}: nothing is deleted by it")
    ends = _end_of(unit.day)
    if ends is None:
        return Verdict(Reason.NO_DAY, f"{unit.day!r} is no day")
    if unit.workspace == PLATFORM:
        return _of_platform(unit, ends, now)
    workspace = view.workspaces.get(unit.workspace)
    if workspace is None:
        return Verdict(Reason.UNKNOWN_WORKSPACE, f"nothing is known of workspace {unit.workspace}")
    policy = (workspace.shard, workspace.seq)
    if unit.workspace in view.in_doubt:
        return Verdict(
            Reason.IN_DOUBT, f"the newest record of {unit.workspace} could not be read", policy=policy
        )
    term = term_of(workspace, unit.source, unit.clock)
    if unit.clock is Clock.QUARANTINE:
        reason, whose = Reason.QUARANTINE, "quarantined records"
    else:
        reason, whose = Reason.RETENTION, f"records of {unit.workspace}/{unit.source}"
    return _by(term, ends, now, Reason.CLOSED if term.closed else reason, whose)._replace(policy=policy)


def judge_closing(workspace: str, view: PolicyView, now: int) -> Verdict:
    """Whether what is left of a closed workspace, its own key, may go once nothing of it is live."""
    if (why := view.why_not) is not None:
        return Verdict(Reason.NO_POLICY, f"the policy is {why}: nothing is deleted by it")
    stands = view.workspaces.get(workspace)
    if stands is None:
        return Verdict(Reason.UNKNOWN_WORKSPACE, f"nothing is known of workspace {workspace}")
    at = (stands.effective_from or 0) + SETTLE
    if workspace in view.in_doubt:
        verdict = Verdict(Reason.IN_DOUBT, f"the newest record of {workspace} could not be read")
    elif stands.legal_hold:
        verdict = Verdict(Reason.HELD, "a legal hold keeps it")
    elif stands.state is not WorkspaceState.CLOSED:
        verdict = Verdict(Reason.FOREVER, "the workspace is not closed")
    elif now < at:
        verdict = Verdict(Reason.GRACE, f"its closing is not in force before {iso_ms(at)}", at)
    else:
        verdict = Verdict(Reason.CLOSED, "the workspace is closed", at)
    return verdict._replace(policy=(stands.shard, stands.seq))


def _of_platform(unit: Unit, ends: int, now: int) -> Verdict:
    term = PLATFORM_TERMS.get(unit.source)
    if term is None:
        return Verdict(Reason.UNKNOWN_WORKSPACE, f"the platform has no source {unit.source}")
    if unit.source == UNCLAIMED:
        return _by(term, ends, now, Reason.UNCLAIMED, "records that nobody claims")
    return _by(term, ends, now, Reason.DEAD_LETTERS, "dead letters")


def _by(term: Term, ends: int, now: int, reason: Reason, whose: str) -> Verdict:
    """`ends`: where the unit's day ends. All its records were appended before."""
    if term.held:
        return Verdict(Reason.HELD, "a legal hold keeps it")
    at = _due_at(term, ends)
    if now < (term.effective_from or 0) and at is not None:
        words = f"its term is not in force before {iso_ms(term.effective_from or 0)}"
        return Verdict(Reason.GRACE, words, at)
    if at is None:
        return Verdict(Reason.FOREVER, f"{whose} are kept for ever")
    if ends > term.kept_since(now - SETTLE):
        return Verdict(Reason.NOT_YET, f"{whose} are kept for {term.days} days: due from {iso_ms(at)}", at)
    if term.closed:
        return Verdict(reason, "the workspace is closed", at)
    words = f"{whose} are kept for {term.days} days: due since {iso_ms(at)}"
    return Verdict(reason, words, at, _by_term(term, ends))


def _due_at(term: Term, ends: int) -> int | None:
    """The first moment at which `kept_since(at - SETTLE)` has reached `ends`. None: never."""
    in_force = (term.effective_from or 0) + SETTLE
    if term.closed:
        return in_force
    by_term = _by_term(term, ends)
    return None if by_term is None else max(by_term, in_force)


def _by_term(term: Term, ends: int) -> int | None:
    return None if term.days is None else ends + term.days * DAY + SETTLE


def _end_of(day: str) -> int | None:
    try:
        begins = date.fromisoformat(day)
    except ValueError:
        return None
    return int(datetime(begins.year, begins.month, begins.day, tzinfo=UTC).timestamp()) * 1000 + DAY
