"""A plan is the same whoever makes it; a backlog too large waits for a person, the daily course does not."""

import random
from typing import Any

import pytest

from tests.unit.retention.making import DAY, HOUR, NOW, unit, view, workspace
from topics.retention_tasks import codec
from topics.workspaces import WorkspaceState
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock
from workers.retention.due import PolicyView, Reason
from workers.retention.plan import FLEET, Approval, Held, Limits, Plan, plan

LIMITS = Limits(workspace=0.1, fleet=0.05, least=1)
ACME = workspace(retention_days=10)
ZOO = workspace("zoo", seq=2)


def held(ago: int, stored: int = 100, workspace: str = "acme", objects: int = 1) -> Held:
    return Held(unit(ago, workspace), objects, 10 * objects, stored)


def days(first: int, last: int, workspace: str = "acme") -> list[Held]:
    return [held(ago, workspace=workspace) for ago in range(first, last + 1)]


def test_two_planners_make_the_same_tasks() -> None:
    units = days(0, 30) + days(0, 30, "zoo")
    shuffled = random.Random(7).sample(units, len(units))
    one, other = plan(view(ACME, ZOO), units, NOW, LIMITS), plan(view(ZOO, ACME), shuffled, NOW, LIMITS)
    assert one == other
    assert [codec.encode(due.task) for due in one.due] == [codec.encode(due.task) for due in other.due]


def test_a_task_says_the_unit_the_rule_and_the_change_of_policy() -> None:
    (due,) = plan(view(ACME), days(0, 11), NOW, LIMITS).tasks
    task = due.task
    assert (task.workspace, task.source, task.day, task.clock) == due.held.unit
    assert (task.reason, task.policy_shard, task.policy_seq) == ("retention", 4, 9)


def test_the_platforms_own_names_no_change_of_policy() -> None:
    nobodys = Held(unit(8, PLATFORM, UNCLAIMED, Clock.UNCLAIMED), 1, 1, 1)
    (due,) = plan(view(ACME), [nobodys], NOW, LIMITS).tasks
    assert (due.task.reason, due.task.policy_shard) == ("unclaimed", None)


def test_the_daily_course_never_brakes() -> None:
    daily = plan(view(ACME), days(0, 12), NOW, LIMITS)  # two of thirteen days: more than 10%
    assert [due.held.unit for due in daily.tasks] == [unit(12), unit(11)]
    assert not daily.brakes
    assert daily.kept == {Reason.NOT_YET: 11}


@pytest.mark.parametrize("change", [{"retention_days": 1}, {"state": WorkspaceState.CLOSED}])
def test_a_change_of_policy_brakes_from_the_moment_it_is_in_force(change: dict[str, Any]) -> None:
    """Its units fall due together, so none of them has been due for long."""
    changed = workspace(effective_from=NOW - 2 * HOUR, **change)
    found = plan(view(changed, ZOO), days(5, 40), NOW, LIMITS)
    assert {brake.scope for brake in found.brakes} == {"acme", FLEET}
    assert len(found.waiting) == 36
    assert not found.tasks
    assert all((due.verdict.at or 0) > NOW - 2 * DAY for due in found.waiting)


def test_a_backlog_brakes_its_workspace_and_leaves_the_others_alone() -> None:
    other = workspace("zoo", retention_days=10, seq=2)
    many = plan(view(ACME, other), days(0, 40) + days(0, 11, "zoo"), NOW, LIMITS._replace(fleet=1))
    assert [brake.scope for brake in many.brakes] == ["acme"]
    assert many.brakes[0].policy == (4, 9)
    assert "28 by retention" in many.brakes[0].words
    assert {due.held.unit for due in many.tasks} == {unit(11), unit(12), unit(11, "zoo")}
    assert len(many.waiting) == 28


def test_a_small_backlog_of_many_brakes_the_fleet() -> None:
    """A hundred customers lose 8% each: below the limit of each, above the fleet's."""
    names = [f"w{number}" for number in range(100)]
    policy = view(*(workspace(name, retention_days=10) for name in names))
    units = [
        each
        for name in names
        for each in (held(0, 920, name), held(20, 80, name))  # 8% of each
    ]
    found = plan(policy, units, NOW, LIMITS)
    assert [brake.scope for brake in found.brakes] == [FLEET]
    assert not found.tasks
    assert len(found.waiting) == 100


def test_little_never_brakes() -> None:
    assert not plan(view(ACME), days(0, 40), NOW, LIMITS._replace(least=10_000)).waiting


def test_an_approval_is_for_what_was_looked_at() -> None:
    units, policy = days(0, 40), view(ACME)
    (brake, fleet) = plan(policy, units, NOW, LIMITS).brakes
    assert fleet.scope == FLEET
    good = Approval(brake.backlog, brake.policy, NOW + DAY)
    assert not plan(policy, units, NOW, LIMITS, {"acme": good}).waiting
    for useless in (
        good._replace(stored_bytes=brake.backlog // 2),  # much more is due than was seen
        good._replace(policy=(4, 8)),  # the policy has changed since
        good._replace(until=NOW),
    ):
        assert plan(policy, units, NOW, LIMITS, {"acme": useless}).waiting
    everybody = Approval(fleet.backlog, None, NOW + DAY)
    assert plan(policy, units, NOW, LIMITS, {FLEET: everybody}).waiting  # acme's own brake stands


def test_an_approval_of_the_fleets_is_for_the_workspaces_and_bytes_that_it_named() -> None:
    """Ninety customers' were approved: not the hundredth's whose policy somebody changes within the week."""
    limits = LIMITS._replace(workspace=1)

    def of(*names: str, old: int = 80) -> list[Held]:
        return [each for name in names for each in (held(0, 1000 - old, name), held(20, old, name))]

    def plans(units: list[Held], approvals: dict[str, Approval], **fields: int) -> Plan:
        names = {each.unit.workspace for each in units}
        records = (workspace(name, retention_days=10, **fields) for name in sorted(names))
        return plan(view(*records), units, NOW, limits, approvals)

    seen = of(*(f"w{number}" for number in range(90)))
    (brake,) = plans(seen, {}).brakes
    approved = {FLEET: Approval(brake.backlog, None, NOW + DAY, brake.parts)}
    assert not plans(seen, approved).waiting
    # little more, of one that was not named, counts by itself
    assert not plans(seen + of("other", old=40), approved).waiting
    # as many bytes as before, of another: one customer's were named, and went; another's come instead
    victim = [held(20, 6000, "victim")]
    (again,) = plans(seen[:-20] + victim, approved).brakes
    assert again.scope == FLEET
    assert again.backlog == 6000
    # approved too, it is one approval of all that stands
    both = {FLEET: Approval(again.backlog, None, NOW + DAY, again.parts)}
    assert not plans(seen[:-20] + victim, both).waiting
    assert plans(seen, approved, seq=99).waiting  # the policy has changed since
    assert plans(of(*brake.parts, old=160), approved).waiting  # much more is due than was seen
    assert plans(seen, {FLEET: approved[FLEET]._replace(until=NOW)}).waiting


def test_where_nothing_is_live_nothing_is_due() -> None:
    assert not plan(view(ACME), [held(40, 0, objects=0)], NOW, LIMITS).due


def test_an_unusable_policy_makes_an_empty_plan_that_says_so() -> None:
    found = plan(PolicyView({}), days(0, 99), NOW, LIMITS)
    assert not found.due
    assert found.unusable == "empty"
    assert found.kept == {Reason.NO_POLICY: 100}
