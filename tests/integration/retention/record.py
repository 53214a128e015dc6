"""What must have become of each unit by then, and which of the cases that matter there were.

Written from docs/retention.md and docs/policy.md, and from nothing of workers/: what the product says of due
units is held against this.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from tests.integration.retention.wishes import What, Wish

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
FOR_EVER = float("inf")
QUARANTINE, UNCLAIMED, DEAD_LETTERS = 30, 7, 30  # days
GRACE = SETTLE_KEY = DAY  # before a shorter term counts; before a disabled key is destroyed
SETTLE = HOUR
CACHES = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of a workspace. `since`: ms; nothing is due before."""

    days: float = FOR_EVER
    own: Mapping[str, float] = field(default_factory=dict)  # by source
    held: bool = False
    closed: bool = False
    since: int = 0
    shortened: bool = False  # what `since` is of: a term that there was

    def of(self, source: str) -> float:
        return self.own.get(source, self.days)

    def after(self, wish: Wish, now: int) -> "Standing":
        days = FOR_EVER if wish.days is None else wish.days
        if wish.what is What.SET and wish.source is not None:
            new = replace(self, own={**self.own, wish.source: days})
        elif wish.what is What.SET:
            new = replace(self, days=days)
        elif wish.what is What.CLOSE:
            new = replace(self, closed=True)
        else:
            new = replace(self, held=wish.what is What.HOLD)
        shorter = (
            (self.held and not new.held)
            or (new.closed and not self.closed)
            or any(new.of(source) < self.of(source) for source in ("", *new.own))
        )
        if not shorter:
            return new
        shortened = any(new.of(source) < self.of(source) != FOR_EVER for source in ("", *new.own))
        return replace(new, since=now + GRACE, shortened=shortened)


class Lot(NamedTuple):
    """A unit, as far as terms go. `ends`: its day's end, ms."""

    workspace: str
    source: str
    ends: int
    quarantined: bool
    platform: bool


class Stage(StrEnum):
    KEPT = "kept"
    DISABLED = "disabled"
    DESTROYED = "destroyed"  # the key
    GONE = "gone"


class State(NamedTuple):
    stage: Stage
    since: int = 0


class Case(StrEnum):
    """Why a unit that its term had made due was kept nevertheless."""

    HELD = "held"  # for as long as a disposal takes
    GRACED = "graced"  # the shorter term was not in force yet
    RECALLED = "recalled"  # when it was disabled already


THERE = State(Stage.KEPT)
ONLY_THERE, ONLY_GONE = frozenset({THERE}), frozenset({State(Stage.GONE)})
LOST = frozenset({Stage.DESTROYED, Stage.GONE})


class Record:
    """Each unit's possible states. One alone, but where a change races the workers: then what either order
    would leave, until the command has said which it was.
    """

    def __init__(self) -> None:
        self.standing: dict[str, Standing] = {}
        self.states: dict[Lot, frozenset[State]] = {}
        self.wrong: list[str] = []
        self.cases: dict[Case, set[Lot]] = {case: set() for case in Case}
        self._held_since: dict[Lot, int] = {}

    def committed(self, lots: Collection[Lot]) -> None:
        for lot in lots:
            self.states.setdefault(lot, frozenset({THERE}))

    def due(self, lot: Lot, now: int) -> bool:
        return _due(lot, self.standing.get(lot.workspace, Standing()), now)

    def worked(self, now: int) -> None:
        """All workers have been through."""
        for lot, states in self.states.items():
            if states == ONLY_GONE:
                continue
            due = self.due(lot, now)
            self.states[lot] = frozenset(_stepped(state, due, now) for state in states)
            if not due and self.states[lot] == ONLY_THERE:
                self._note_why(lot, now)

    def wished(self, workspace: str, wish: Wish, now: int) -> None:
        """Before the command that says so begins."""
        if wish.racing:  # any of them may have been through already
            for lot in self._of(workspace):
                due = self.due(lot, now)
                self.states[lot] |= {_stepped(state, due, now) for state in self.states[lot]}
        self.standing[workspace] = self.standing.get(workspace, Standing()).after(wish, now)

    def answered(
        self, workspace: str, wish: Wish, recalled: Collection[Lot], too_late: Collection[Lot], now: int
    ) -> None:
        """The command has returned: what isn't due is saved, but for what it names."""
        stages = {lot: {state.stage for state in self.states[lot]} for lot in self._of(workspace)}
        saved = {lot for lot in stages if not self.due(lot, now)}
        self.cases[Case.RECALLED].update(recalled)
        for lot in recalled:
            if lot not in saved or Stage.DISABLED not in stages[lot]:
                self.wrong.append(f"{lot} was taken back, and is {sorted(self.states[lot])}")
        if not wish.racing:  # else a worker may have taken it back itself
            for lot in saved:
                if stages[lot] == {Stage.DISABLED} and lot not in recalled:
                    self.wrong.append(f"{lot} was disabled, and not taken back")
        for lot in saved:
            self.states[lot] = self._saved(lot, lot in too_late, now)

    def _saved(self, lot: Lot, too_late: bool, now: int) -> frozenset[State]:
        possible = self.states[lot]
        if too_late:
            left = {state for state in possible if state.stage in LOST}
        else:
            left = {
                state if state.stage in LOST else THERE
                for state in possible
                if state != State(Stage.DESTROYED, now)
            }
        if not left:
            self.wrong.append(f"{lot} was {sorted(possible)}, and called {'lost' * too_late}")
        return frozenset(left or possible)

    def missing(self) -> Iterator[str]:
        """What did not befall any unit: a run without it would not see whether it is done right."""
        for case in Case:
            gone, there = self.ends(case)
            if not gone:
                yield f"proves nothing: no unit that was {case} went later"
            if not there:
                yield f"proves nothing: no unit that was {case} is there in the end"

    def ends(self, case: Case) -> tuple[int, int]:
        """Of its units: how many have gone, and how many are there."""
        ends = [self.states[lot] for lot in self.cases[case]]
        return ends.count(ONLY_GONE), ends.count(ONLY_THERE)

    def _note_why(self, lot: Lot, now: int) -> None:
        stands = self.standing.get(lot.workspace, Standing())
        if stands.held and _due(lot, replace(stands, held=False), now):
            if now >= self._held_since.setdefault(lot, now) + SETTLE_KEY + CACHES:
                self.cases[Case.HELD].add(lot)
        elif not stands.held and stands.shortened and _due(lot, replace(stands, since=0), now):
            self.cases[Case.GRACED].add(lot)

    def _of(self, workspace: str) -> list[Lot]:
        return [lot for lot in self.states if lot.workspace == workspace]


def _due(lot: Lot, stands: Standing, now: int) -> bool:
    if lot.platform:
        days: float = UNCLAIMED if lot.source == "unclaimed" else DEAD_LETTERS
        return now >= lot.ends + days * DAY + SETTLE
    if stands.held or now < stands.since + SETTLE:
        return False
    days = min(stands.of(lot.source), QUARANTINE) if lot.quarantined else stands.of(lot.source)
    return stands.closed or now >= lot.ends + days * DAY + SETTLE


def _stepped(state: State, due: bool, now: int) -> State:
    if state.stage is Stage.KEPT and due:
        return State(Stage.DISABLED, now)
    if state.stage is Stage.DISABLED:
        if not due:
            return THERE
        return State(Stage.DESTROYED, now) if now >= state.since + SETTLE_KEY else state
    if state.stage is Stage.DESTROYED and now >= state.since + CACHES:
        return State(Stage.GONE)
    return state
