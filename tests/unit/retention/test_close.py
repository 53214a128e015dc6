"""A closed workspace ends: its own key destroyed once nothing is live, and one certificate of all of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from tests.unit.ledger.world import retry
from tests.unit.retention.making import DAY, HOUR, NOW, unit, view, workspace
from tests.unit.retention.test_agent import agent_of, until_done, value
from tests.unit.retention.world import SHRED_LATENCY, Killed, World, group
from topics.workspaces import Workspace, WorkspaceState
from workers.errors import Fatal
from workers.ledger.entries import Writer
from workers.ledger.verify_report import Kind, Report
from workers.retention import closing, closing_audit, closing_certificate, names
from workers.retention.close import Closer, Empty, Outcome, emptied
from workers.retention.closing import Step
from workers.retention.closing_certificate import ClosingCertificate
from workers.retention.due import Reason, Unusable, Verdict, judge_closing
from workers.retention.holding import recall_all, recall_kept
from workers.retention.index import UnitIndex
from workers.sealing.refusals import KeyShredded
from workers.sealing.replicas import Replicas
from workers.sealing.rows import workspace_row
from workers.store.faults import Fault
from workers.store.memory import MemoryStore

OTHER = unit(3, "zoo")
UNITS = (unit(40), unit(2), unit(2, source="app"))
EMPTY = Empty((4, 9), True)
CLOSED = workspace(state=WorkspaceState.CLOSED)


def policy_of(**fields: Any) -> dict[str, Workspace]:
    return {"acme": workspace(**{"state": WorkspaceState.CLOSED, **fields}), "zoo": workspace("zoo")}


class Closing(World):
    """One in which a workspace is closed, and the other goes on."""

    async def closing(self, name: str) -> Verdict:
        return judge_closing(name, self.view(), self.now)

    def closer(
        self, name: str = "retain-0", judge: Callable[[str], Awaitable[Verdict]] | None = None
    ) -> Closer:
        self.heard: list[ClosingCertificate] = []

        async def told(issued: ClosingCertificate) -> None:
            self.heard.append(issued)
            await self.turn()

        return Closer(
            self.ledger, rows_of(self), judge or self.closing, SHRED_LATENCY, Writer(name, "test"), "host",
            retry(), lambda: self.now, told,
        )  # fmt: skip

    async def look(self, closer: Closer) -> None:
        """As a worker with each of its plans."""
        seen = self.now
        planned = await agent_of(self).plan()
        await closer.advance_all(self.view(), planned.census, seen)

    async def step(self) -> Step | None:
        stood = await closing.read(self.ledger, "acme", retry())
        return None if stood is None else stood.closing.step

    async def certificate(self) -> ClosingCertificate | None:
        return await closing_certificate.read(self.ledger, "acme", retry())

    async def is_shredded(self) -> bool:
        try:
            row = await rows_of(self).settled(workspace_row("acme"))
        except KeyShredded:
            return True
        assert row is not None
        return False

    async def audited(self) -> dict[str, int]:
        report = Report()
        await closing_audit.audit(
            self.ledger,
            rows_of(self),
            UnitIndex(self.ledger, retry(), lambda: self.now),
            retry(),
            report,
            self.now,
        )
        return report.kinds


def rows_of(found: World) -> Replicas:
    return Replicas([found.keys], requests=8)


async def world(*, disposed: bool = True) -> Closing:
    found = Closing(policy_of())
    await found.commit({group(each): [b"{}"] * 2 for each in (*UNITS, OTHER)})
    if disposed:
        await until_done(found, agent_of(found))
    return found


async def bare() -> Closing:
    """Its units are gone by another way: the steps of the closing are all that costs requests."""
    found = Closing(policy_of())
    await found.keystore().unit_key(UNITS[0], create=True)
    return found


async def finish(found: Closing, closer: Closer) -> list[Outcome]:
    outcomes = [await closer.advance("acme", EMPTY, found.now)]
    while outcomes[-1] in (Outcome.MOVED, Outcome.DESTROYED, Outcome.RECALLED) and len(outcomes) < 10:
        found.now += SHRED_LATENCY if outcomes[-1] is Outcome.DESTROYED else 0
        outcomes.append(await closer.advance("acme", EMPTY, found.now))
    return outcomes


async def test_a_closed_workspace_from_end_to_end() -> None:
    found = await world(disposed=False)
    closer = found.closer()
    closings = value("strongroom_retention_closings_total")
    await found.look(closer)
    assert (await found.step(), await found.is_shredded()) == (None, False)  # units are live
    await until_done(found, agent_of(found))
    await found.look(closer)
    assert (await found.step(), await found.is_shredded()) == (Step.DESTROYING, True)
    assert await found.certificate() is None  # a cache may hold the key
    found.now += SHRED_LATENCY
    await found.look(closer)
    issued = await found.certificate()
    assert issued is not None
    assert (issued.disposed.units, issued.disposed.disposals, issued.disposed.records) == (3, 3, 6)
    each = [(await found.certificates(unit))[0].disposed for unit in UNITS]
    assert issued.disposed.objects == sum(one.objects for one in each)
    assert issued.disposed.stored_bytes == sum(one.stored_bytes for one in each)
    assert (issued.reason, issued.policy) == ("closed", {"workspaces": (4, 9)})
    assert found.heard == [issued]
    assert await found.step() is None
    assert value("strongroom_retention_closings_total") == closings + 1
    with pytest.raises(KeyShredded):
        await found.keystore().unit_key(unit(0), create=True)  # nothing of it can be sealed again
    assert await found.keystore().unit_key(OTHER, create=False)
    before = found.keys.requests.copy()
    for again in (closer, found.closer("fresh")):
        await found.look(again)
    assert found.keys.requests["put"] == before["put"]
    assert await found.certificate() == issued
    assert await found.audited() == {}


def test_only_what_is_closed_for_long_and_not_held_may_go() -> None:
    def said(**fields: Any) -> Reason:
        return judge_closing("acme", view(workspace(**fields)), NOW).reason

    assert said() is Reason.FOREVER
    assert said(state=WorkspaceState.CLOSED) is Reason.CLOSED
    assert said(state=WorkspaceState.CLOSED, legal_hold=True) is Reason.HELD
    assert said(state=WorkspaceState.CLOSED, effective_from=NOW - HOUR + 1) is Reason.GRACE
    assert said(state=WorkspaceState.CLOSED, effective_from=NOW - HOUR) is Reason.CLOSED
    doubtful = view(CLOSED, in_doubt=frozenset({"acme"}))
    assert judge_closing("acme", doubtful, NOW).reason is Reason.IN_DOUBT
    assert judge_closing("zoo", view(CLOSED), NOW).reason is Reason.UNKNOWN_WORKSPACE
    for why in Unusable:
        assert judge_closing("acme", view(CLOSED, unusable=why), NOW).reason is Reason.NO_POLICY


async def test_while_a_disposal_is_under_way_or_uncertified_nothing_ends() -> None:
    found = await world()
    (issued,) = await found.certificates(UNITS[0])
    kept = await found.ledger.get(issued.name)
    await found.ledger.delete([issued.name])
    fresh = await agent_of(found).plan()
    assert emptied(found.view(), fresh.census, found.now) == {}
    await found.ledger.put(issued.name, kept.body)
    assert emptied(found.view(), (await agent_of(found).plan()).census, found.now) == {"acme": EMPTY}


async def test_killed_at_any_request_another_worker_ends_it_once() -> None:
    for kill_at in range(1000):
        found = await bare()
        found.kill_at = kill_at
        try:
            await finish(found, found.closer("killed"))
        except* Killed:
            found.kill_at = None
            assert (await finish(found, found.closer("next")))[-1] in (Outcome.DONE, Outcome.OVER)
        else:
            assert kill_at > 20, "it was over before the worker was killed at all"
            break
        found.kill_at = None
        assert await found.is_shredded()
        assert await found.certificate() is not None
        assert await found.step() is None
        assert await found.audited() == {}


async def asleep_at(found: Closing, at: int, meanwhile: Callable[[], Awaitable[None]]) -> bool:
    """`meanwhile` happens whole while the worker sleeps at its request `at`. False: it was over before."""
    asleep, awake = asyncio.Event(), asyncio.Event()
    turns, holding = 0, False

    async def turn() -> None:
        nonlocal turns
        if not holding:
            turns += 1
            if turns == at + 1:
                asleep.set()
                await awake.wait()

    for store in (found.ledger, found.keys):
        store._turn = turn
    worker = asyncio.ensure_future(finish_once(found))
    waits = asyncio.ensure_future(asleep.wait())
    await asyncio.wait({worker, waits}, return_when=asyncio.FIRST_COMPLETED)
    waits.cancel()
    if not asleep.is_set():
        await worker
        return False
    holding = True
    await meanwhile()
    holding = False
    awake.set()
    await worker
    return True


async def finish_once(found: Closing) -> None:
    outcomes = await finish(found, found.closer("sleeper"))
    assert outcomes


@pytest.mark.parametrize(
    "fields",
    [{"legal_hold": True, "seq": 10}, {"state": WorkspaceState.OPEN, "seq": 10}],
    ids=["hold", "reopened"],
)
async def test_what_comes_between_any_two_steps_keeps_the_key_or_is_told_that_it_is_too_late(
    fields: dict[str, Any],
) -> None:
    saved_at, late_at = 0, 0
    for at in range(1000):
        found = await bare()
        saved: list[bool] = []

        async def change(found: Closing = found, saved: list[bool] = saved) -> None:
            found.policy = policy_of(**fields)
            stands = found.policy["acme"]
            recalled = await recall_kept(found.ledger, rows_of(found), stands, "ops", retry(), found.now)
            saved.append(not recalled.key_too_late)

        if not await asleep_at(found, at, change):
            break
        closer = found.closer("next")  # whoever looks at what stands next
        for _ in range(3):
            found.now += SHRED_LATENCY
            await found.look(closer)
        if saved == [True]:
            # by the time at which it is over, a change comes too late, and there is nothing left to tell
            assert not await found.is_shredded() or late_at
            saved_at += not await found.is_shredded()
        else:
            assert await found.is_shredded()
            assert await found.certificate() is not None
            late_at += 1
        assert await found.step() is None
    assert saved_at > 5
    assert late_at > 5


async def test_a_hold_takes_back_what_a_dead_worker_has_begun() -> None:
    found = await bare()
    begun = closing.Closing(
        workspace="acme", step=Step.BEGUN, begun_at=1, policy=(4, 9), words="w", attempt="a", by="dead"
    )
    await closing.begin(found.ledger, begun, retry())
    assert not (
        await recall_all(found.ledger, rows_of(found), "acme", "ops", retry(), found.now)
    ).key_too_late
    assert await found.step() is None
    await closing.begin(found.ledger, begun, retry())
    found.policy = policy_of(legal_hold=True)  # whose command was killed
    await found.look(found.closer())
    assert (await found.step(), await found.is_shredded()) == (None, False)


async def test_of_a_change_that_the_census_has_not_seen_nothing_ends() -> None:
    found = await bare()
    found.policy = policy_of(seq=10)  # closed again: what came between was not counted
    assert await found.closer().advance("acme", EMPTY, found.now) is Outcome.KEPT
    assert (await found.step(), await found.is_shredded()) == (None, False)


@pytest.mark.parametrize("why", list(Unusable))
async def test_without_a_usable_policy_nothing_ends(why: Unusable) -> None:
    found = await world()
    found.unusable = why
    await found.look(found.closer())
    assert await found.closer().advance("acme", EMPTY, found.now) is Outcome.KEPT
    assert (await found.step(), await found.is_shredded()) == (None, False)


async def test_what_shows_up_behind_the_key_keeps_the_certificate_back() -> None:
    found = await world()
    closer = found.closer()
    keys = found.keystore()
    late = unit(1)
    await keys.unit_key(late, create=True)  # by a worker that sleeps from here
    await found.look(closer)
    assert await found.is_shredded()
    await found.commit({group(late): [b"{}"]}, keys)
    found.now += SHRED_LATENCY
    await found.look(closer)
    assert await found.certificate() is None
    await until_done(found, agent_of(found))
    await found.look(closer)
    issued = await found.certificate()
    assert issued is not None
    assert (issued.disposed.units, issued.disposed.records) == (4, 7)
    assert await found.audited() == {}


async def test_with_another_archives_keystore_nothing_is_proved() -> None:
    found = await bare()
    found.keys = MemoryStore("other", versioned=True)
    with pytest.raises(Fatal, match="the keystore no key of it"):
        await found.closer().advance("acme", EMPTY, found.now)
    assert await found.step() is None


async def test_a_workspace_that_fails_stops_no_other() -> None:
    found = await world()
    found.policy["zap"] = workspace("zap", state=WorkspaceState.CLOSED)
    found.keys.faults.add(Fault.DENIED, operation="put", key="*/ws=acme/*", times=None)
    failed = value("strongroom_retention_failures_total", cause="denied")
    closer = found.closer()
    for _ in range(2):
        await found.look(closer)
        found.now += SHRED_LATENCY
    assert value("strongroom_retention_failures_total", cause="denied") > failed
    assert await closing_certificate.read(found.ledger, "zap", retry()) is not None
    assert await found.certificate() is None


async def closed() -> tuple[Closing, ClosingCertificate]:
    found = await world()
    closer = found.closer()
    for _ in range(2):
        await found.look(closer)
        found.now += SHRED_LATENCY
    issued = await found.certificate()
    assert issued is not None
    return found, issued


@pytest.mark.parametrize("field", ["units", "disposals", "objects", "records", "stored_bytes", "sha256"])
async def test_a_closing_certificate_that_lies_is_found(field: str) -> None:
    found, issued = await closed()
    wrong = "0" * 64 if field == "sha256" else 1
    forged = msgspec.structs.replace(
        issued, disposed=msgspec.structs.replace(issued.disposed, **{field: wrong})
    )
    await found.ledger.put(issued.name, closing_certificate.encode(forged))
    assert await found.audited() == {Kind.WRONG_CERTIFICATE: 1}


async def test_one_of_a_workspace_that_lives_is_found() -> None:
    found, issued = await closed()
    forged = msgspec.structs.replace(
        issued,
        workspace="zoo",
        key=workspace_row("zoo"),
        disposed=(await closing_certificate.summed(found.ledger, "zoo", retry())).totals,
    )
    await found.ledger.put(forged.name, closing_certificate.encode(forged))
    assert await found.audited() == {Kind.WRONG_CERTIFICATE: 2}  # its key, and its unit
    await found.ledger.put(forged.name, b"garbage")
    assert await found.audited() == {Kind.WRONG_CERTIFICATE: 2}  # that it is none, and its unit


async def test_an_older_version_of_its_key_is_found() -> None:
    found, issued = await closed()
    gone = (await found.keys.get(issued.key)).body
    await found.keys.put(issued.key, gone)
    assert await found.audited() == {Kind.WRONG_CERTIFICATE: 1}


async def test_an_end_that_stays_without_a_certificate_is_found() -> None:
    found = await world()
    await found.look(found.closer())
    assert await found.step() is Step.DESTROYING
    assert await found.audited() == {}  # it waits until caches have let go
    found.now += 8 * DAY
    assert await found.audited() == {Kind.UNCERTIFIED: 1}
    await found.look(found.closer())
    assert await found.audited() == {}
    await found.ledger.put(names.closing("zoo"), b"garbage")
    assert await found.audited() == {Kind.UNCERTIFIED: 1}
