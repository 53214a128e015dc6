"""What is due at a moment, and what of it waits for a person: policy, units and time in, a plan out. Pure.

Whoever plans from the same gets the same plan, so any number of workers may plan.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from topics.retention_tasks import RetentionTask
from workers.intake.kept import DAY
from workers.retention.due import PolicyView, Reason, Unusable, Verdict, judge
from workers.sealing.keys import Unit

# What became due so recently (ms) goes in the daily course; only a backlog can brake, for it takes a change
# of policy, a wrong clock or an outage to make one
ORDINARY = 2 * DAY
FLEET = "*"  # the scope of a brake of all workspaces together; no id is called so


class Held(NamedTuple):
    """A unit and what of it is to go: `records` are those that are live, none where all were given up."""

    unit: Unit
    objects: int
    records: int
    stored_bytes: int


class Due(NamedTuple):
    held: Held
    verdict: Verdict

    @property
    def task(self) -> RetentionTask:
        unit, policy = self.held.unit, self.verdict.policy
        return RetentionTask(
            workspace=unit.workspace,
            source=unit.source,
            day=unit.day,
            clock=unit.clock,
            reason=str(self.verdict.reason),
            policy_shard=policy[0] if policy else None,
            policy_seq=policy[1] if policy else None,
        )


class Limits(NamedTuple):
    """Shares of the live bytes; fewer bytes than `least` never brake."""

    workspace: float = 0.1
    fleet: float = 0.05
    least: int = 64 * 1024 * 1024


class Part(NamedTuple):
    """What one workspace has in a backlog of the fleet's."""

    stored_bytes: int
    policy: tuple[int, int] | None  # of the workspace's record; None for the platform


class Approval(NamedTuple):
    """A person has seen that so much of a scope is to go, by the policy that stood then, and wants it.

    `parts`, of FLEET, by workspace: it is an approval of these, and of nothing else that is due later.
    """

    stored_bytes: int
    policy: tuple[int, int] | None  # of the workspace's record; None for FLEET and the platform
    until: int  # ms since the epoch
    parts: Mapping[str, Part] = MappingProxyType({})


class Brake(NamedTuple):
    """Why nothing of the scope's backlog goes: `scope` is a workspace, or FLEET."""

    scope: str
    backlog: int  # bytes
    live: int  # bytes
    units: int
    reasons: dict[str, int]  # units by the rule that makes them due
    policy: tuple[int, int] | None
    parts: Mapping[str, Part] = MappingProxyType({})  # of FLEET, by workspace, those approved before too

    @property
    def words(self) -> str:
        whose = "the fleet's" if self.scope == FLEET else f"{self.scope}'s"
        by = ", ".join(f"{count} by {reason}" for reason, count in sorted(self.reasons.items()))
        record = (
            ""
            if self.policy is None
            else f"; its record is change {self.policy[1]} of shard {self.policy[0]}"
        )
        return (
            f"{self.backlog} of {whose} {self.live} bytes ({self.backlog / max(self.live, 1):.0%}) are due "
            f"at once: {self.units} units, {by}{record}"
        )


class Plan(NamedTuple):
    """`tasks` may go now; `waiting` are due and braked."""

    tasks: tuple[Due, ...]
    waiting: tuple[Due, ...]
    brakes: tuple[Brake, ...]
    kept: Mapping[Reason, int]  # units
    unusable: Unusable | None = None

    @property
    def due(self) -> tuple[Due, ...]:
        return self.tasks + self.waiting


def plan(
    view: PolicyView,
    units: Iterable[Held],
    now: int,
    limits: Limits,
    approvals: Mapping[str, Approval] | None = None,
) -> Plan:
    """At `now` (ms since the epoch); `approvals` by scope. Units of which nothing is left are not due.

    Memory: the due units.
    """
    due: list[Due] = []
    kept: Counter[Reason] = Counter()
    live: Counter[str] = Counter()
    for held in units:
        live[held.unit.workspace] += held.stored_bytes
        verdict = judge(held.unit, view, now)
        if not verdict.due:
            kept[verdict.reason] += 1
        elif held.objects:
            due.append(Due(held, verdict))
    due.sort(key=lambda each: (each.verdict.at or 0, each.held.unit))
    backlog = [each for each in due if _is_backlog(each, now)]
    brakes = tuple(_brakes(backlog, live, limits, approvals or {}, now))
    braked = {brake.scope for brake in brakes}
    tasks: list[Due] = []
    waiting: list[Due] = []
    for each in due:
        stays = _is_backlog(each, now) and not braked.isdisjoint({FLEET, each.held.unit.workspace})
        (waiting if stays else tasks).append(each)
    return Plan(tuple(tasks), tuple(waiting), brakes, kept, view.why_not)


def _is_backlog(due: Due, now: int) -> bool:
    """Not what falls due day by day: also what a change of policy made due, from when it is in force."""
    return due.verdict.by_term is None or due.verdict.by_term < now - ORDINARY


def _brakes(
    backlog: list[Due], live: Mapping[str, int], limits: Limits, approvals: Mapping[str, Approval], now: int
) -> Iterable[Brake]:
    by_workspace: dict[str, list[Due]] = {}
    for each in backlog:
        by_workspace.setdefault(each.held.unit.workspace, []).append(each)
    of_fleet = approvals.get(FLEET)
    unapproved: list[Due] = []
    parts: dict[str, Part] = {}
    for workspace in sorted(by_workspace):
        brake = _brake(workspace, by_workspace[workspace], live[workspace])
        approval = approvals.get(workspace)
        if approval is not None and approves(approval, brake, now):
            continue  # a person has looked at it: it does not count against the fleet either
        parts[workspace] = Part(brake.backlog, brake.policy)
        if of_fleet is None or not _approves_part(of_fleet, brake, now):
            unapproved += by_workspace[workspace]
        if _is_too_much(brake, limits.workspace, limits):
            yield brake
    fleet = _brake(FLEET, unapproved, sum(live.values()))
    if _is_too_much(fleet, limits.fleet, limits):
        yield fleet._replace(parts=parts)


def approves(approval: Approval, brake: Brake, now: int) -> bool:
    """For what was looked at, and a tenth more that may have fallen due since."""
    if now >= approval.until or approval.policy != brake.policy:
        return False
    return brake.backlog <= approval.stored_bytes * 1.1


def _approves_part(of_fleet: Approval, brake: Brake, now: int) -> bool:
    part = of_fleet.parts.get(brake.scope)
    return part is not None and approves(Approval(*part, of_fleet.until), brake, now)


def _is_too_much(brake: Brake, share: float, limits: Limits) -> bool:
    return brake.backlog >= limits.least and brake.backlog > share * brake.live


def _brake(scope: str, due: list[Due], live: int) -> Brake:
    policies = {each.verdict.policy for each in due}
    return Brake(
        scope,
        sum(each.held.stored_bytes for each in due),
        live,
        len(due),
        dict(Counter(str(each.verdict.reason) for each in due)),
        policies.pop() if scope != FLEET and len(policies) == 1 else None,
    )
