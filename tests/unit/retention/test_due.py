"""Nothing is due that anything speaks for: a hold, a grace, an unknown customer, a policy that may be old."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.retention.making import DAY, HOUR, MIDNIGHT, NOW, day, unit, view, workspace
from topics.workspaces import Source, Workspace, WorkspaceState
from workers.intake.dispositions import DEAD_LETTERS, PLATFORM, UNCLAIMED, Clock
from workers.intake.kept import PLATFORM_TERMS, term_of
from workers.retention.due import DUE, SETTLE, PolicyView, Reason, Unusable, judge
from workers.sealing.keys import Unit

KEEPER = workspace("keeper")  # so that no view is empty

RETENTIONS = st.none() | st.integers(1, 60)
SHORT_BEFORE_AND_AFTER = st.integers(-3 * DAY, 3 * DAY)


@dataclass
class Case:
    workspace: Workspace
    unit: Unit
    now: int

    @property
    def view(self) -> PolicyView:
        return view(self.workspace, KEEPER)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    now = NOW + draw(st.integers(-400 * DAY, 400 * DAY))
    starts = draw(st.none() | SHORT_BEFORE_AND_AFTER)
    own = draw(RETENTIONS)
    return Case(
        workspace(
            retention_days=draw(RETENTIONS),
            sources=(Source(id="web", retention_days=own),),
            legal_hold=draw(st.booleans()),
            state=draw(st.sampled_from(list(WorkspaceState))),
            effective_from=None if starts is None else now + starts,
        ),
        Unit(
            draw(st.sampled_from(["acme", "stranger"])),
            draw(st.sampled_from(["web", "app"])),
            day(draw(st.integers(-2, 80)), now),
            draw(st.sampled_from([Clock.MAIN, Clock.QUARANTINE])),
        ),
        now,
    )


@settings(deadline=None)
@given(cases())
def test_a_unit_is_due_only_if_nothing_speaks_for_it(case: Case) -> None:
    verdict = judge(case.unit, case.view, case.now)
    if not verdict.due:
        return
    assert case.unit.workspace == "acme"
    assert not case.workspace.legal_hold
    assert case.now >= (case.workspace.effective_from or 0)
    term = term_of(case.workspace, case.unit.source, case.unit.clock)
    assert term.closed or case.unit.day < day(term.days or 10**9, case.now)


@settings(deadline=None)
@given(cases())
def test_what_is_due_would_be_rejected_if_it_came_now(case: Case) -> None:
    """So nothing is sealed for a day whose key is being destroyed."""
    if judge(case.unit, case.view, case.now).due:
        last_of_the_day = _start(case.unit.day) + DAY - 1
        since = term_of(case.workspace, case.unit.source, case.unit.clock).kept_since(case.now - SETTLE)
        assert last_of_the_day < since


@settings(deadline=None)
@given(cases())
def test_when_it_becomes_due_is_said_to_the_millisecond(case: Case) -> None:
    verdict = judge(case.unit, case.view, case.now)
    if verdict.at is None:
        return
    assert judge(case.unit, case.view, verdict.at).due
    assert not judge(case.unit, case.view, verdict.at - 1).due
    assert verdict.due == (case.now >= verdict.at)


@settings(deadline=None)
@given(cases(), st.sampled_from(list(Unusable)))
def test_an_unusable_policy_deletes_nothing(case: Case, why: Unusable) -> None:
    assert judge(case.unit, case.view._replace(unusable=why), case.now).reason is Reason.NO_POLICY
    assert judge(case.unit, PolicyView({}), case.now).reason is Reason.NO_POLICY
    unclaimed = Unit(PLATFORM, UNCLAIMED, day(99), Clock.UNCLAIMED)
    assert not judge(unclaimed, PolicyView({}), case.now).due


@settings(deadline=None)
@given(cases())
def test_a_workspace_in_doubt_keeps_everything(case: Case) -> None:
    doubted = case.view._replace(in_doubt=frozenset({"acme"}))
    assert not judge(case.unit, doubted, case.now).due


@settings(deadline=None)
@given(cases(), st.integers(0, 40 * DAY))
def test_what_is_due_stays_due_while_nothing_changes(case: Case, later: int) -> None:
    if judge(case.unit, case.view, case.now).due:
        assert judge(case.unit, case.view, case.now + later).due


@pytest.mark.parametrize(
    ("ago", "now", "reason"),
    [
        (30, NOW, Reason.NOT_YET),
        (31, NOW, Reason.RETENTION),
        (31, MIDNIGHT + SETTLE, Reason.RETENTION),
        (31, MIDNIGHT + SETTLE - 1, Reason.NOT_YET),
        (0, NOW, Reason.NOT_YET),
        (-1, NOW, Reason.NOT_YET),
    ],
)
def test_days_are_whole(ago: int, now: int, reason: Reason) -> None:
    assert judge(unit(ago), view(workspace(retention_days=30)), now).reason is reason


@pytest.mark.parametrize(
    ("standing", "clock", "ago", "reason"),
    [
        (workspace(), Clock.MAIN, 9999, Reason.FOREVER),
        (workspace(), Clock.QUARANTINE, 31, Reason.QUARANTINE),
        (workspace(), Clock.QUARANTINE, 30, Reason.NOT_YET),
        (workspace(retention_days=90), Clock.QUARANTINE, 31, Reason.QUARANTINE),
        (workspace(retention_days=5), Clock.QUARANTINE, 6, Reason.QUARANTINE),
        (workspace(retention_days=5, legal_hold=True), Clock.QUARANTINE, 99, Reason.HELD),
        (workspace(retention_days=5, legal_hold=True), Clock.MAIN, 99, Reason.HELD),
        (workspace(retention_days=5, effective_from=NOW + 1), Clock.MAIN, 99, Reason.GRACE),
        (workspace(retention_days=5, effective_from=NOW - HOUR), Clock.MAIN, 99, Reason.RETENTION),
        (workspace(state=WorkspaceState.CLOSED, effective_from=NOW - HOUR), Clock.MAIN, 1, Reason.CLOSED),
        (workspace(state=WorkspaceState.CLOSED, effective_from=NOW + 1), Clock.MAIN, 1, Reason.GRACE),
        (
            workspace(retention_days=5, sources=(Source(id="web", retention_days=50),)),
            Clock.MAIN,
            9,
            Reason.NOT_YET,
        ),
        (workspace(sources=(Source(id="web", retention_days=5),)), Clock.MAIN, 9, Reason.RETENTION),
        (workspace(sources=(Source(id="app", retention_days=5),)), Clock.MAIN, 9, Reason.FOREVER),
    ],
)
def test_whose_term_it_is(standing: Workspace, clock: Clock, ago: int, reason: Reason) -> None:
    assert judge(unit(ago, clock=clock), view(standing), NOW).reason is reason


@pytest.mark.parametrize(
    ("source", "ago", "reason"),
    [
        (UNCLAIMED, 7, Reason.NOT_YET),
        (UNCLAIMED, 8, Reason.UNCLAIMED),
        (DEAD_LETTERS, 30, Reason.NOT_YET),
        (DEAD_LETTERS, 31, Reason.DEAD_LETTERS),
        ("something-new", 9999, Reason.UNKNOWN_WORKSPACE),
    ],
)
def test_the_platforms_own_clocks(source: str, ago: int, reason: Reason) -> None:
    clock = Clock.UNCLAIMED if source == UNCLAIMED else Clock.MAIN
    assert judge(unit(ago, PLATFORM, source, clock), view(KEEPER), NOW).reason is reason


def test_the_platforms_clocks_are_those_of_intake() -> None:
    assert {source: term.days for source, term in PLATFORM_TERMS.items()} == {UNCLAIMED: 7, DEAD_LETTERS: 30}


def test_a_unit_of_no_day_is_kept() -> None:
    assert judge(
        Unit("acme", "web", "2026-02-31", Clock.MAIN), view(workspace(retention_days=1)), NOW
    ).reason is (Reason.NO_DAY)


def test_a_verdict_names_the_change_of_policy_that_says_so() -> None:
    assert judge(unit(40), view(workspace(retention_days=30)), NOW).policy == (4, 9)
    assert {reason for reason in Reason if reason in DUE} == {
        Reason.RETENTION,
        Reason.CLOSED,
        Reason.QUARANTINE,
        Reason.UNCLAIMED,
        Reason.DEAD_LETTERS,
    }


def _start(of: str) -> int:
    return int(datetime.fromisoformat(of).replace(tzinfo=UTC).timestamp()) * 1000
