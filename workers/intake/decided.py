"""What was decided before, kept by everything it depends on, in bounded memory.

A plan holds for one write key and a window of append times. It is one outcome, or one a page where the rules
looked at the page. Changes of policy drop the plans of the keys they touch and no others; what depends on the
clock (midnight, a retention that comes into force) drops all of them at that moment.
"""

from workers.intake.dispositions import Decision, Disposition, Group
from workers.intake.facts import Facts, PageInputs
from workers.intake.kept import BEGINNING, DAY, END
from workers.intake.refusals import Refusal

PAGES_PER_KEY = 1024  # a forger who invents hosts starts his own key's over, and nobody else's
METERED = frozenset({Disposition.ACCEPTED, Disposition.FLAGGED})
NO_ORIGIN = object()  # equal to none
LONGEST_PAGE = 1024  # characters of one kept page: longer ones are decided each time


class Outcome:
    """A decision and the group that it means on a day. Equal only to itself: it is a quick key.

    `refusal`: what a rejected record is counted as for others. `metered`: it counts for a quota.
    """

    __slots__ = ("_day", "_group", "decision", "metered", "refusal")

    def __init__(self, decision: Decision, refusal: Refusal | None = None) -> None:
        self.decision = decision
        self.refusal = refusal
        self.metered = decision.disposition in METERED
        self._day = ""
        self._group: Group | None = None

    def group(self, day: str) -> Group:
        if self._group is None or self._day != day:
            what = self.decision
            self._day = day
            self._group = Group(what.workspace, what.source, day, what.disposition, what.clock)
        return self._group


class Plan:
    """The outcome of a write key's records, or one a page (`outcome` None), if appended in [begins, ends).

    `others`: of a key that is refused whatever the page, once it has enough pages to be counted by. `over`:
    a page's outcome once the key's quota is used up, and `over_others` that of further pages.
    `since` and `until` are for the hot path: it finds no plan of a key that has a quota to be asked of. So
    are the `usual` ones: most records of a key come from one host, which three comparisons tell: its URLs are
    the texts in [usual_from, usual_end).
    """

    __slots__ = (
        "account",
        "begins",
        "ends",
        "limit",
        "others",
        "outcome",
        "over",
        "over_others",
        "pages",
        "since",
        "until",
        "usual",
        "usual_end",
        "usual_from",
        "usual_origin",
    )

    def __init__(self, facts: Facts, outcome: Outcome) -> None:
        self.begins, self.ends = facts.holds
        self.account = facts.account
        self.limit = facts.account.limit if facts.account is not None else None
        self.since, self.until = (self.begins, self.ends) if self.limit is None else (END, BEGINNING)
        self.outcome = None if facts.page_was_read else outcome
        self.others: Outcome | None = None
        self.pages: dict[PageInputs, Outcome] = {}
        self.over_others: Outcome | None = None
        self.over: dict[PageInputs, Outcome] = {}
        self.usual: Outcome | None = None
        self.usual_origin: str | object = NO_ORIGIN
        self.usual_from = self.usual_end = ""

    def keep_usual(self, inputs: PageInputs, outcome: Outcome) -> None:
        """The first page whose prefix, as `page_inputs` cuts it, all URLs of its host begin with."""
        origin, _, prefix, _ = inputs
        if self.usual is not None or not origin or origin == "null" or not prefix:
            return
        if prefix.find("/", 9) == len(prefix) - 1 and len(origin) + len(prefix) <= LONGEST_PAGE:
            self.usual, self.usual_origin = outcome, origin
            # what begins with a text ending in "/" sorts before that text with the next character, "0"
            self.usual_from, self.usual_end = prefix, prefix[:-1] + "0"


class _Generation:
    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.keys_of: dict[str, set[str]] = {}  # workspace → its keys among `plans`
        self.outcomes: dict[Decision, Outcome] = {}
        self.size = 0  # plans and their pages

    def forget_workspace(self, workspace: str) -> None:
        for key in self.keys_of.pop(workspace, ()):
            self.plans.pop(key, None)


class Decided:
    """Two generations stand for a least-recently-used order without a write a look-up.

    When the young one is full it becomes the old one; what is used again moves back; the rest goes with it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit  # plans and pages of a generation
        self._young = _Generation()
        self._old = _Generation()
        self._from = self._until = 0  # ms: times of now for which the plans hold

    @property
    def known(self) -> dict[str, Plan]:
        """The young generation, for the look-up of the hot path. Only until the next `keep_clock`."""
        return self._young.plans

    def __len__(self) -> int:
        return self._young.size + self._old.size

    def keep_clock(self, now: int) -> None:
        """Drops everything if what the plans took for granted about `now` (ms) is over."""
        if not self._from <= now < self._until:
            self.forget_all()
            self._from, self._until = now, now - now % DAY + DAY

    def plan(self, write_key: str, workspace: str, appended: int) -> Plan | None:
        plan = self._young.plans.get(write_key)
        if plan is None:
            plan = self._old.plans.pop(write_key, None)
            if plan is not None:
                self._insert(write_key, workspace, plan)
        return plan if plan is not None and plan.begins <= appended < plan.ends else None

    def outcome(self, decision: Decision) -> Outcome:
        """One object for equal decisions, so that their records stay in the order of their offsets."""
        outcome = self._young.outcomes.get(decision)
        if outcome is None:
            outcome = self._young.outcomes[decision] = self._old.outcomes.get(decision) or Outcome(decision)
        return outcome

    def keep(self, write_key: str, workspace: str, facts: Facts, outcome: Outcome, now: int) -> Plan:
        """A new plan for the key. Not yet its pages."""
        starts = facts.account.term.effective_from if facts.account is not None else None
        if starts is not None and now < starts < self._until:
            self._until = starts
        plan = Plan(facts, outcome)
        self._insert(write_key, workspace, plan)
        return plan

    def keep_page(self, pages: dict[PageInputs, Outcome], inputs: PageInputs, outcome: Outcome) -> None:
        """Among `pages`, which are some of a plan's."""
        if sum(len(text) for text in inputs if text is not None) > LONGEST_PAGE:
            return
        if len(pages) >= PAGES_PER_KEY:
            # what is given back is room: else a flood of one key's pages would drop all keys' plans
            self._young.size = max(0, self._young.size - len(pages))
            pages.clear()
        pages[inputs] = outcome
        self._grow(1)

    def forget_key(self, write_key: str) -> None:
        self._young.plans.pop(write_key, None)
        self._old.plans.pop(write_key, None)

    def forget_workspace(self, workspace: str) -> None:
        self._young.forget_workspace(workspace)
        self._old.forget_workspace(workspace)

    def forget_all(self) -> None:
        self._young, self._old = _Generation(), _Generation()

    def _insert(self, write_key: str, workspace: str, plan: Plan) -> None:
        self._grow(1 + len(plan.pages) + len(plan.over))
        self._young.plans[write_key] = plan
        self._young.keys_of.setdefault(workspace, set()).add(write_key)

    def _grow(self, size: int) -> None:
        if self._young.size + size > self._limit:
            self._old, self._young = self._young, _Generation()
        self._young.size += size
