"""A closed workspace's last steps, once nothing of it is live: its own key destroyed, one certificate.

Where it stands is in the buckets alone, so any worker may take the next step, again after a crash.
"""

import secrets
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import NamedTuple

import structlog

from workers.errors import Fatal, Poison, Retryable
from workers.intake.dispositions import PLATFORM
from workers.ledger.entries import Writer
from workers.observe import metrics
from workers.retention import closing, closing_certificate, unit_keys
from workers.retention.census import Census
from workers.retention.closing import Closing, Step, Stood
from workers.retention.closing_certificate import ClosingCertificate
from workers.retention.due import UNSURE, PolicyView, Verdict, judge_closing
from workers.retention.pending import Moved
from workers.sealing.refusals import KeyShredded
from workers.sealing.replicas import Replicas
from workers.sealing.rows import workspace_row
from workers.store.port import Denied, Store
from workers.store.retry import Retry

log = structlog.get_logger()


class Outcome(StrEnum):
    """Where a call left a workspace."""

    KEPT = "kept"
    RECALLED = "recalled"
    MOVED = "moved"  # another worker was faster
    DESTROYED = (
        "destroyed"  # it waits until the last cache has let the key go, and for another look behind it
    )
    DONE = "done"  # certified
    OVER = "over"  # certified before


class Advanced(NamedTuple):
    """`outcome` None: it failed, and `words` say why."""

    workspace: str
    outcome: Outcome | None
    words: str = ""


class Empty(NamedTuple):
    """A closed workspace of which nothing is live. `had_units`: something of it was stored once."""

    policy: tuple[int, int] | None
    had_units: bool


def emptied(view: PolicyView, census: Census, now: int) -> dict[str, Empty]:
    """Those whose key may go, by one census. Pure."""
    live = {each.unit.workspace for each in census.held if each.objects}
    live |= {unit.workspace for unit in census.unfinished}
    had = {each.unit.workspace for each in census.held}
    found = {}
    for workspace in view.workspaces.keys() - live - {PLATFORM}:
        verdict = judge_closing(workspace, view, now)
        if verdict.due:
            found[workspace] = Empty(verdict.policy, workspace in had)
    return found


class Closer:
    """`judge`: the workspace's verdict by the policy as it is now, read anew each time. Times: ms since the
    epoch. `told` puts a certificate on record for people; it may be given one again."""

    def __init__(
        self,
        ledger: Store,
        rows: Replicas,
        judge: Callable[[str], Awaitable[Verdict]],
        shred_latency: int,
        writer: Writer,
        host: str,
        retry: Retry,
        now: Callable[[], int],
        told: Callable[[ClosingCertificate], Awaitable[None]],
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._rows = rows
        self._judge = judge
        self._shred_latency = shred_latency
        self._writer = writer
        self._host = host
        self._retry = retry
        self._now = now
        self._told = told
        self._step = step
        self._over: set[str] = set()  # closing certificates that were seen: they stay for ever

    async def advance_all(self, view: PolicyView, census: Census, seen: int) -> list[Advanced]:
        """All that can take a step. `seen`: from before the census was begun. What fails is told, and tried
        again with the next plan. Requests: one list; one a closed workspace, once; a few each that is ending.
        """
        if view.why_not is not None:
            return []
        empty = emptied(view, census, seen)
        try:
            pending = {workspace async for workspace in closing.under_way(self._ledger, self._retry)}
        except Retryable as error:
            return [self._failed("*", error)]
        advanced = []
        for workspace in sorted(empty.keys() | pending):
            if workspace in self._over and workspace not in pending:
                continue
            try:
                outcome = await self.advance(workspace, empty.get(workspace), seen)
            except (Retryable, Fatal, Poison) as error:
                advanced.append(self._failed(workspace, error))
                continue
            self._step()
            advanced.append(Advanced(workspace, outcome))
            if outcome is Outcome.DONE:
                metrics.RETENTION_CLOSINGS.inc()
                log.info("workspace_closed", workspace=workspace)
        return advanced

    async def advance(self, workspace: str, empty: Empty | None, seen: int) -> Outcome:
        """`empty`: nothing of it was live in a census that was begun at `seen`. Raises Retryable, Fatal."""
        try:
            outcome = await self._advance(workspace, empty, seen)
        except Moved:
            return Outcome.MOVED
        if outcome in (Outcome.DONE, Outcome.OVER):
            self._over.add(workspace)
        return outcome

    async def _advance(self, workspace: str, empty: Empty | None, seen: int) -> Outcome:
        stood = await closing.read(self._ledger, workspace, self._retry)
        if stood is None and await closing_certificate.read(self._ledger, workspace, self._retry):
            return Outcome.OVER
        verdict = await self._judge(workspace)
        if verdict.reason in UNSURE:
            return Outcome.KEPT  # neither on nor back
        # by any other change than that of the census something may be live since
        may_go = verdict.due and empty is not None and empty.policy == verdict.policy
        if stood is None:
            if empty is None or not may_go:
                return Outcome.KEPT
            await self._check_keystore(workspace, empty)
            stood = await closing.begin(self._ledger, self._beginning(workspace, verdict), self._retry)
            # what came before the beginning was on record is seen now
            verdict = await self._judge(workspace)
            may_go = verdict.due and empty.policy == verdict.policy
        if stood.closing.step is Step.RECALLED or (stood.closing.step is Step.BEGUN and not may_go):
            await closing.recall(self._ledger, stood, self._writer.id, self._retry)
            return Outcome.RECALLED
        if stood.closing.step is Step.BEGUN:
            stood = await closing.step(self._ledger, stood, Step.DESTROYING, self._writer.id, self._retry)
        return await self._end(stood, is_empty=empty is not None, seen=seen)

    async def _end(self, stood: Stood, *, is_empty: bool, seen: int) -> Outcome:
        """There is no way back, and all that is left may be repeated."""
        workspace = stood.closing.workspace
        row = workspace_row(workspace)
        destroyed_at = await unit_keys.row_destroyed(self._rows, row, self._retry, self._now())
        # what somebody sealed by a cached key shows in a census from behind the cache's life
        if not is_empty or seen < destroyed_at + self._shred_latency:
            return Outcome.DESTROYED
        issued = await closing_certificate.read(self._ledger, workspace, self._retry)
        if issued is None:
            made = await self._certificate(stood.closing, destroyed_at)
            await closing_certificate.issue(self._ledger, made, self._retry)
            issued = await closing_certificate.read(self._ledger, workspace, self._retry)
        if issued is None:
            raise Moved
        await self._told(issued)
        await closing.end(self._ledger, workspace, self._retry)
        return Outcome.DONE

    async def _certificate(self, begun: Closing, destroyed_at: int) -> ClosingCertificate:
        summed = await closing_certificate.summed(self._ledger, begun.workspace, self._retry, step=self._step)
        return ClosingCertificate(
            workspace=begun.workspace,
            reason="closed",
            words=begun.words,
            policy={"workspaces": begun.policy},
            disposed=summed.totals,
            key=workspace_row(begun.workspace),
            key_destroyed_at=destroyed_at,
            # not before any that it sums up, whoever's clock is wrong
            verified_at=max(self._now(), summed.newest),
            worker=self._writer,
            host=self._host,
        )

    def _beginning(self, workspace: str, verdict: Verdict) -> Closing:
        if verdict.policy is None:
            raise Moved
        return Closing(
            workspace=workspace,
            step=Step.BEGUN,
            begun_at=self._now(),
            policy=verdict.policy,
            words=verdict.words,
            attempt=secrets.token_hex(8),
            by=self._writer.id,
        )

    async def _check_keystore(self, workspace: str, empty: Empty) -> None:
        """Raises Fatal for another archive's: a tombstone there would destroy nothing, and prove it."""
        name = workspace_row(workspace)
        try:
            row = await self._retry.call(lambda: self._rows.settled(name))
        except KeyShredded:
            return
        if row is None and empty.had_units:
            raise Fatal(
                f"{workspace} had objects, and the keystore no key of it: there is no key {name}",
                remedy="Give STRONGROOM_KEYSTORE_BUCKET, and its second one, the archive workers' values",
            )

    def _failed(self, workspace: str, error: Retryable | Fatal | Poison) -> Advanced:
        if isinstance(error, Denied):
            cause = "denied"
        else:
            cause = "unavailable" if isinstance(error, Retryable) else "broken"
        metrics.RETENTION_FAILURES.labels(cause=cause).inc()
        log.error("closing_failed", workspace=workspace, error=error.message, remedy=error.remedy)
        return Advanced(workspace, None, str(error))
