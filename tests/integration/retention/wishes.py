"""What customers want, day by day, and what must have become of each unit by then.

Written from docs/retention.md and docs/policy.md, and from nothing of workers/: what the product says of due
units is held against this.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
FOR_EVER = float("inf")
QUARANTINE, UNCLAIMED, DEAD_LETTERS = 30, 7, 30  # days
GRACE = SETTLE_KEY = DAY  # before a shorter term counts; before a disabled key is destroyed
SETTLE = HOUR
CACHES = 5 * MINUTE


class What(StrEnum):
    SET = "set"
    HOLD = "hold"
    RELEASE = "release"
    CLOSE = "close"


class Wish(NamedTuple):
    """On day `day`. `racing`: while the workers are at work; otherwise before."""

    day: int
    what: What
    racing: bool
    days: int | None = None
    source: str | None = None


class Customer(NamedTuple):
    name: str
    sources: tuple[str, ...] = ("web",)
    wishes: tuple[Wish, ...] = ()

    @property
    def closed_on(self) -> int | None:
        return next((wish.day for wish in self.wishes if wish.what is What.CLOSE), None)


def customers(count: int, days: int, rng: random.Random) -> list[Customer]:
    """Three in five have a retention; three of these, or one of a few, are held; one of the rest is closed.

    Of those with a retention a third change it once more, and a quarter have a source with its own.
    """
    with_policy = count * 3 // 5
    made = []
    for number in range(count):
        sources = ("web", "app") if number % 4 == 1 else ("web",)
        wishes = _terms(number, days, rng) if number < with_policy else []
        if number < min(3, max(1, with_policy // 4)):
            held_on = rng.randrange(days // 3, max(days // 3 + 1, days // 2))
            wishes.append(Wish(held_on, What.HOLD, racing=True))
            if number != 2:  # one is held for good
                released_on = rng.randrange(held_on + 2, max(held_on + 3, days * 2 // 3))
                wishes.append(Wish(released_on, What.RELEASE, racing=rng.random() < 0.7))
        if number == count - 1:
            wishes.append(Wish(days // 2, What.CLOSE, racing=True))
        made.append(Customer(f"c{number:02d}", sources, tuple(sorted(wishes, key=lambda wish: wish.day))))
    return made


def _terms(number: int, days: int, rng: random.Random) -> list[Wish]:
    longest, first = max(3, days // 3), rng.randrange(max(1, days // 3))
    wishes = [Wish(first, What.SET, racing=False, days=rng.randint(2, longest))]
    if number % 4 == 1:
        wishes.append(Wish(first, What.SET, racing=False, days=rng.randint(1, longest), source="app"))
    if number % 3 == 0:
        later = rng.randrange(first + 1, max(first + 2, days - 2))
        wishes.append(Wish(later, What.SET, racing=True, days=rng.randint(1, longest)))
    return wishes


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds of a workspace. `since`: ms; nothing is due before."""

    days: float = FOR_EVER
    own: Mapping[str, float] = field(default_factory=dict)  # by source
    held: bool = False
    closed: bool = False
    since: int = 0

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
        return replace(new, since=now + GRACE) if shorter else new


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


THERE = State(Stage.KEPT)
LOST = frozenset({Stage.DESTROYED, Stage.GONE})


class Record:
    """Each unit's possible states. One alone, but where a change races the workers: then what either order
    would leave, until the command has said which it was.
    """

    def __init__(self) -> None:
        self.standing: dict[str, Standing] = {}
        self.states: dict[Lot, frozenset[State]] = {}
        self.wrong: list[str] = []

    def committed(self, lots: Collection[Lot]) -> None:
        for lot in lots:
            self.states.setdefault(lot, frozenset({THERE}))

    def due(self, lot: Lot, now: int) -> bool:
        if lot.platform:
            days: float = UNCLAIMED if lot.source == "unclaimed" else DEAD_LETTERS
            return now >= lot.ends + days * DAY + SETTLE
        stands = self.standing.get(lot.workspace, Standing())
        if stands.held or now < stands.since + SETTLE:
            return False
        days = min(stands.of(lot.source), QUARANTINE) if lot.quarantined else stands.of(lot.source)
        return stands.closed or now >= lot.ends + days * DAY + SETTLE

    def worked(self, now: int) -> None:
        """All workers have been through."""
        for lot, states in self.states.items():
            due = self.due(lot, now)
            self.states[lot] = frozenset(_stepped(state, due, now) for state in states)

    def wished(self, workspace: str, wish: Wish, now: int) -> None:
        """Before the command that says so begins."""
        if wish.racing:  # any of them may have been through already
            for lot in self._of(workspace):
                due = self.due(lot, now)
                self.states[lot] |= {_stepped(state, due, now) for state in self.states[lot]}
        self.standing[workspace] = self.standing.get(workspace, Standing()).after(wish, now)

    def answered(self, workspace: str, too_late: Collection[Lot], now: int) -> None:
        """The command has returned: what isn't due is saved, but for what it names."""
        for lot in self._of(workspace):
            if self.due(lot, now):
                continue
            possible = self.states[lot]
            if lot in too_late:
                left = {state for state in possible if state.stage in LOST}
            else:
                left = {
                    state if state.stage in LOST else THERE
                    for state in possible
                    if state != State(Stage.DESTROYED, now)
                }
            if not left:
                self.wrong.append(f"{lot} was {sorted(possible)}, and called {'lost' * (lot in too_late)}")
            self.states[lot] = frozenset(left or possible)

    def _of(self, workspace: str) -> list[Lot]:
        return [lot for lot in self.states if lot.workspace == workspace]


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
