"""A retain worker's work: plans what is due, and takes units on their way, those alone that its own plan has.

So a task, whoever sent it, can only hasten what is due anyway, and what brakes stands still.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import structlog

from topics.retention_tasks import RetentionTask
from workers.errors import Fatal, Poison, Retryable
from workers.observe import metrics
from workers.retention import approvals
from workers.retention.census import Census, Registrar
from workers.retention.dispose import Advanced, Disposer, Outcome
from workers.retention.due import PolicyView, Reason, Unusable
from workers.retention.plan import Limits, Plan, plan
from workers.sealing.keys import Unit
from workers.store.port import Denied, Store
from workers.store.retry import Retry

log = structlog.get_logger()

APPROVE = "Look at it: `strongroom retention plan`. Then `strongroom retention approve SCOPE`"


class Planned(NamedTuple):
    plan: Plan
    census: Census
    may_go: frozenset[Unit]

    @property
    def tasks(self) -> list[RetentionTask]:
        """The same, in the same order, whoever planned from the same."""
        due = {each.held.unit: each.task for each in self.plan.tasks}
        rest = sorted(self.may_go - due.keys())
        return [*due.values(), *(self._unfinished(unit) for unit in rest)]

    def _unfinished(self, unit: Unit) -> RetentionTask:
        pending = self.census.under_way.get(unit)
        reason = "" if pending is None else pending.reason
        return RetentionTask(**unit._asdict(), reason=reason)


NOTHING = Planned(Plan((), (), (), {}), Census((), {}, frozenset()), frozenset())


class Agent:
    """`now` is in ms since the epoch; `step` is told of all that gets done."""

    def __init__(
        self,
        ledger: Store,
        registrar: Registrar,
        disposer: Disposer,
        view: Callable[[], PolicyView],
        limits: Limits,
        retry: Retry,
        now: Callable[[], int],
        step: Callable[[], None],
    ) -> None:
        self._ledger = ledger
        self._registrar = registrar
        self._disposer = disposer
        self._view = view
        self._limits = limits
        self._retry = retry
        self._now = now
        self._step = step
        self._stuck: dict[Unit, str] = {}  # unit → cause
        self.failures: dict[Unit, str] = {}  # of the last plan's units: why the last step of each failed
        self.planned = NOTHING
        self.later: dict[Unit, int] = {}  # units that can go on soon, and when

    async def plan(self) -> Planned:
        """Raises Retryable where a bucket stays away, Fatal for a broken chain."""
        begun, view, now = time.monotonic(), self._view(), self._now()
        planned = await planned_from(self._ledger, self._registrar, view, now, self._limits, self._retry)
        self.planned = planned
        self.failures.clear()
        self._step()
        self._measure(time.monotonic() - begun)
        for brake in planned.plan.brakes:
            log.error("retention_braked", scope=brake.scope, why=brake.words, remedy=APPROVE)
        log.info(
            "retention_planned",
            due=len(planned.plan.tasks),
            waiting=len(planned.plan.waiting),
            unfinished=len(planned.census.unfinished),
            kept=sum(planned.plan.kept.values()),
            policy=planned.plan.unusable or "usable",
        )
        return planned

    async def advance(self, unit: Unit) -> Advanced | None:
        """One unit, as far as it goes now; None if the last plan does not have it, or something failed."""
        if unit not in self.planned.may_go:
            return None
        self.later.pop(unit, None)
        try:
            advanced = await self._disposer.advance(unit)
        except (Retryable, Fatal, Poison) as error:
            self._failed(unit, error)
            return None
        self._step()
        self._tell(unit, advanced)
        return advanced

    def _failed(self, unit: Unit, error: Retryable | Fatal | Poison) -> None:
        """The others go on. The next plan has it again."""
        if isinstance(error, Denied):
            cause = "denied"
        else:
            cause = "unavailable" if isinstance(error, Retryable) else "broken"
        metrics.RETENTION_FAILURES.labels(cause=cause).inc()
        self.failures[unit] = str(error)
        log.error("disposal_failed", unit="/".join(unit), error=error.message, remedy=error.remedy)

    def _tell(self, unit: Unit, advanced: Advanced) -> None:
        metrics.RETENTION_STEPS.labels(outcome=advanced.outcome).inc()
        self._stuck.pop(unit, None)
        if advanced.outcome is Outcome.DESTROYED and advanced.until is not None:
            self.later[unit] = advanced.until
        if advanced.stuck is not None:
            self._stuck[unit] = advanced.stuck.cause
            metrics.RETENTION_FAILURES.labels(cause=advanced.stuck.cause).inc()
            log.error("disposal_stuck", unit="/".join(unit), why=advanced.words)
        if advanced.certified:
            metrics.RETENTION_DISPOSALS.inc(advanced.certified)
            metrics.RETENTION_DISPOSED_BYTES.inc(advanced.stored_bytes)
            log.info("disposed", unit="/".join(unit), certificates=advanced.certified)

    def _measure(self, seconds: float) -> None:
        found, census = self.planned.plan, self.planned.census
        metrics.RETENTION_UNITS.labels(state="due").set(len(found.tasks))
        metrics.RETENTION_UNITS.labels(state="braked").set(len(found.waiting))
        metrics.RETENTION_UNITS.labels(state="under_way").set(len(census.unfinished))
        metrics.RETENTION_UNITS.labels(state="stuck").set(len(self._stuck))
        metrics.RETENTION_UNITS.labels(state="held").set(found.kept.get(Reason.HELD, 0))
        metrics.RETENTION_DUE_BYTES.set(sum(each.held.stored_bytes for each in found.due))
        oldest = min((each.verdict.at for each in found.due if each.verdict.at), default=self._now())
        metrics.RETENTION_OVERDUE_SECONDS.set(max(0, self._now() - oldest) / 1000)
        metrics.RETENTION_BRAKES.set(len(found.brakes))
        metrics.RETENTION_PLAN_SECONDS.set(seconds)
        metrics.RETENTION_PLAN_ENDED.set(self._now() / 1000)


def measure_policy(unusable: Unusable | None) -> None:
    for cause in Unusable:
        metrics.RETENTION_POLICY_UNUSABLE.labels(cause=cause).set(cause is unusable)


async def planned_from(
    ledger: Store, registrar: Registrar, view: PolicyView, now: int, limits: Limits, retry: Retry
) -> Planned:
    """Touches nothing. Without a usable policy nothing may go, of what is under way neither."""
    measure_policy(view.why_not)
    census = await registrar.census(view, now)
    found = plan(view, census.held, now, limits, await approvals.standing(ledger, retry))
    if found.unusable is not None:
        return Planned(found, census, frozenset())
    waiting = {each.held.unit for each in found.waiting}
    tasks = {each.held.unit for each in found.tasks}
    may_go = frozenset(tasks | (census.unfinished - waiting))
    registrar.expects(may_go)
    return Planned(found, census, may_go)
