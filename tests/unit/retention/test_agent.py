"""The agent acts by its own plan and by two witnesses of policy; who forges one of them deletes nothing."""

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import DAY, unit, view, workspace
from tests.unit.retention.world import DESTROY_AFTER, SHRED_LATENCY, World, group
from topics.workspaces import Workspace
from workers.by import By
from workers.errors import Fatal
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_kinds import WORKSPACES
from workers.observe import metrics
from workers.retention import approvals
from workers.retention.agent import Agent
from workers.retention.census import Registrar
from workers.retention.dispose import Outcome
from workers.retention.due import PolicyView, Reason, Unusable
from workers.retention.index import UnitIndex
from workers.retention.plan import FLEET, Limits
from workers.retention.truth import Truth
from workers.sealing.keys import Unit
from workers.store.faults import Fault

GONE, KEPT = unit(40), unit(10)
NO_BRAKES = Limits(1.0, 1.0)
BRAKES = Limits(0.1, 1.0, least=1)


async def world() -> World:
    found = World({"acme": workspace(retention_days=30)})
    await found.commit({group(GONE): [b"{}"] * 3, group(unit(41)): [b"{}"], group(KEPT): [b"{}"] * 2})
    return found


def agent_of(found: World, limits: Limits = NO_BRAKES, name: str = "retain-0") -> Agent:
    index = UnitIndex(found.ledger, retry(), lambda: found.now)
    return Agent(
        found.ledger,
        Registrar(found.ledger, index, retry()),
        found.disposer(name),
        found.view,
        limits,
        retry(),
        lambda: found.now,
        lambda: None,
    )


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def work(agent: Agent) -> None:
    for each in sorted((await agent.plan()).may_go):
        await agent.advance(each)


async def until_done(found: World, agent: Agent) -> None:
    for wait in (0, DESTROY_AFTER, SHRED_LATENCY):
        found.now += wait
        await work(agent)


async def test_what_is_due_goes_and_is_no_longer_planned() -> None:
    found = await world()
    agent = agent_of(found)
    assert {each.held.unit for each in (await agent.plan()).plan.tasks} == {GONE, unit(41)}
    await until_done(found, agent)
    assert len(await found.certificates(GONE)) == len(await found.certificates(unit(41))) == 1
    for other in (agent, agent_of(found, name="fresh")):
        planned = await other.plan()
        assert not planned.plan.due
        assert not planned.census.unfinished
        assert planned.plan.kept == {Reason.NOT_YET: 1}


async def test_two_workers_send_the_same_tasks() -> None:
    found = await world()
    one, other = agent_of(found), agent_of(found, name="retain-1")
    assert (await one.plan()).tasks == (await other.plan()).tasks
    await work(one)
    found.now += DESTROY_AFTER
    assert (await one.plan()).tasks == (await other.plan()).tasks


async def test_what_its_own_plan_does_not_have_is_passed_over() -> None:
    found = await world()
    agent = agent_of(found)
    assert await agent.advance(GONE) is None  # it has not planned yet
    await agent.plan()
    for each in (KEPT, GONE._replace(workspace="zoo"), GONE._replace(day="2000-01-01")):
        assert await agent.advance(each) is None
    assert found.keys.requests["delete"] == 0


async def test_a_brake_stops_what_is_under_way_too_until_it_is_approved() -> None:
    found = await world()
    await work(agent_of(found))  # disabled, before anybody thought of brakes
    found.now += DESTROY_AFTER
    agent = agent_of(found, BRAKES)
    planned = await agent.plan()
    (brake,) = planned.plan.brakes
    assert (brake.scope, planned.may_go) == ("acme", frozenset())
    assert value("strongroom_retention_brakes") == 1
    assert value("strongroom_retention_units", state="braked") == 2
    assert await agent.advance(GONE) is None
    await approvals.keep(found.ledger, approvals.of(brake, By("ops", "h", "seen", found.now)), retry())
    await work(agent)
    found.now += SHRED_LATENCY
    await work(agent)
    assert len(await found.certificates(GONE)) == 1
    assert value("strongroom_retention_brakes") == 0


async def test_with_the_policy_chain_out_of_reach_nothing_goes_and_a_metric_says_so() -> None:
    found = await world()
    found.verdict = Truth(found.ledger, found.view, lambda: found.now, retry(3)).verdict  # type: ignore[method-assign]  # the real one for the world's
    agent = agent_of(found)
    found.ledger.faults.add(Fault.UNAVAILABLE, key="policy/*", times=None)
    before = await found.contents(found.data)
    failed = value("strongroom_retention_failures_total", cause="unavailable")
    await work(agent)
    assert agent.failures.keys() == {GONE, unit(41)}
    assert value("strongroom_retention_failures_total", cause="unavailable") == failed + 2
    assert await found.contents(found.data) == before
    assert await found.keystore().unit_key(GONE, create=False)


async def test_an_approval_that_nobody_can_read_approves_nothing() -> None:
    found = await world()
    await found.ledger.put("retention/v1/approvals/acme.json", b"garbage")
    with pytest.raises(Fatal, match="is no approval"):
        await agent_of(found).plan()


@pytest.mark.parametrize("why", list(Unusable))
async def test_an_unusable_policy_deletes_nothing_and_is_measured(why: Unusable) -> None:
    found = await world()
    agent = agent_of(found)
    await agent.plan()
    if why is Unusable.EMPTY:
        found.policy = {}
    else:
        found.unusable = why
    # by the plan of before, and by the one of now
    assert (await agent.advance(GONE)).outcome is Outcome.KEPT  # type: ignore[union-attr] # its plan has it
    planned = await agent.plan()
    assert planned.may_go == frozenset()
    assert value("strongroom_retention_policy_unusable", cause=why) == 1
    assert found.data.requests["delete"] == 0
    assert await found.keystore().unit_key(GONE, create=False)


async def test_a_bucket_that_stays_away_is_a_failure_of_that_unit_alone() -> None:
    found = await world()
    agent = agent_of(found)
    await agent.plan()
    before = value("strongroom_retention_failures_total", cause="unavailable")
    rule = found.keys.faults.add(Fault.UNAVAILABLE, key=f"*{GONE.day}*", times=None)
    assert await agent.advance(GONE) is None
    assert (await agent.advance(unit(41))).outcome is Outcome.DISABLED  # type: ignore[union-attr] # it is planned
    assert value("strongroom_retention_failures_total", cause="unavailable") == before + 1
    assert "503" in agent.failures[GONE]
    found.keys.faults.remove(rule)
    await until_done(found, agent)
    assert len(await found.certificates(GONE)) == 1


async def test_units_of_nobody_go_by_the_platforms_clocks() -> None:
    found = World({"acme": workspace()})
    unclaimed = Unit(PLATFORM, UNCLAIMED, unit(8).day, Clock.UNCLAIMED)
    quarantined = unit(31, clock=Clock.QUARANTINE)
    await found.commit(
        {
            group(unclaimed, Disposition.QUARANTINED): [b"{}"] * 2,
            group(quarantined, Disposition.QUARANTINED): [b"{}"],
            group(unit(31)): [b"{}"],
        }
    )
    await until_done(found, agent_of(found))
    for each, reason in ((unclaimed, "unclaimed"), (quarantined, "quarantine")):
        assert [certificate.reason for certificate in await found.certificates(each)] == [reason]
    assert not await found.certificates(unit(31))


# -- two witnesses -----------------------------------------------------------------------------------


async def chained(found: World, *standing: Workspace) -> None:
    chain = PolicyChain(found.ledger, WORKSPACES, retry=retry())
    for each in standing:
        await chain.change({each.id: lambda before, each=each: each}, By("ops", "h", "", found.now))  # type: ignore[misc] # bound early


async def asked(found: World, copied: PolicyView, of: Unit = GONE) -> Reason:
    return (await Truth(found.ledger, lambda: copied, lambda: found.now, retry()).verdict(of)).reason


async def test_both_witnesses_must_say_so() -> None:
    found, short, held = (
        await world(),
        workspace(retention_days=30),
        workspace(retention_days=30, legal_hold=True),
    )
    await chained(found, short)
    assert await asked(found, view(short)) is Reason.RETENTION
    assert await asked(found, view(held)) is Reason.HELD
    assert await asked(found, PolicyView({})) is Reason.NO_POLICY
    await chained(found, held)  # it has not reached the topic yet
    assert await asked(found, view(short)) is Reason.HELD


async def test_what_is_forged_on_the_topic_deletes_nothing() -> None:
    found = await world()
    await chained(found, workspace())  # kept for ever
    forged = msgspec.structs.replace(workspace(retention_days=1), seq=99)
    assert await asked(found, view(forged)) is Reason.FOREVER
    stranger = view(workspace("zoo", retention_days=1))
    assert await asked(found, stranger, unit(40, "zoo")) is Reason.NO_POLICY


async def test_without_any_chain_the_platforms_own_is_kept_too() -> None:
    found = await world()
    unclaimed = Unit(PLATFORM, UNCLAIMED, unit(40).day, Clock.UNCLAIMED)
    assert await asked(found, view(workspace()), unclaimed) is Reason.NO_POLICY
    await chained(found, workspace())
    assert await asked(found, view(workspace()), unclaimed) is Reason.UNCLAIMED


async def test_with_a_broken_chain_the_platforms_own_is_kept_too() -> None:
    found = await world()
    await chained(found, workspace())
    async for stat in found.ledger.list("policy/v1/workspaces/"):
        await found.ledger.put(stat.key, b"garbage")
    with pytest.raises(Fatal, match="the policy chain is broken"):
        await asked(found, view(workspace()), Unit(PLATFORM, UNCLAIMED, unit(40).day, Clock.UNCLAIMED))


async def test_approvals_are_of_a_scope_and_end() -> None:
    found = await world()
    (brake,) = (await agent_of(found, BRAKES).plan()).plan.brakes
    kept = approvals.of(brake._replace(scope=FLEET), By("ops", "h", "seen", found.now))
    await approvals.keep(found.ledger, kept, retry())
    (standing,) = (await approvals.standing(found.ledger, retry())).items()
    assert standing[0] == FLEET
    assert standing[1].until == found.now + 7 * DAY
