"""One unit's way out, a step a call: disabled, a wait, disposed of, destroyed, deleted, certified.

Where a unit stands is in the buckets alone. So any worker may take the next step at any time, again after a
crash, beside others: every step is a conditional PUT, or may be repeated.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from workers.ledger import live, unit_chain
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.live import Live
from workers.ledger.unit_chain import Taken, UnitHead
from workers.ledger.unit_heads import UnitHeads
from workers.retention import certificate, pending, unit_keys
from workers.retention.certificate import Certificate
from workers.retention.dispose_entries import DisposeEntries, goes
from workers.retention.due import UNSURE, Verdict
from workers.retention.ending import Ending, Stuck, uncertified
from workers.retention.pending import RECALLABLE, Moved, Pending, Step, Stood
from workers.retention.recall import recall
from workers.sealing.keys import Unit
from workers.sealing.replicas import Replicas
from workers.store.port import Store
from workers.store.retry import Retry


class Outcome(StrEnum):
    """Where a call left the unit; the metrics' label."""

    KEPT = "kept"  # it is not due
    RECALLED = "recalled"  # it was not due any more, and can be read again
    NOTHING = "nothing"  # nothing is left to do
    DISABLED = "disabled"  # it waits, and can be recalled
    DESTROYED = "destroyed"  # it waits until the last cache has let the key go
    STUCK = "stuck"  # a bucket keeps what must go
    MOVED = "moved"  # another worker was faster
    DONE = "done"  # certified


class Advanced(NamedTuple):
    """`until`: when to call again (ms since the epoch); None: not for its own sake."""

    outcome: Outcome
    words: str = ""
    until: int | None = None
    stuck: Stuck | None = None
    certified: int = 0  # disposals
    stored_bytes: int = 0  # of these


class Units(Protocol):
    """What intake stored, by unit."""

    async def objects(self, unit: Unit) -> list[StoredObject]: ...


@dataclass(frozen=True, slots=True)
class Terms:
    destroy_after: int  # ms between the disabling of a key and its destruction
    shred_latency: int  # ms for which a cache may go on with a key that was withdrawn


# The unit's verdict by the policy as it is now, read anew each time. Raises rather than guess.
Judge = Callable[[Unit], Awaitable[Verdict]]


class Disposer:
    """`buckets`: the data bucket, then those that `also_delete_from` names. Times are ms since the epoch."""

    def __init__(
        self,
        ledger: Store,
        buckets: Sequence[Store],
        rows: Replicas,
        units: Units,
        judge: Judge,
        terms: Terms,
        writer: Writer,
        host: str,
        retry: Retry,
        now: Callable[[], int],
        fresh_units: Callable[[int], Awaitable[None]],
        told: Callable[[Certificate], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._heads = UnitHeads(ledger, retry)  # one chain feeds all units of its day
        self._rows = rows
        self._units = units
        self._judge = judge
        self._terms = terms
        self._writer = writer
        self._retry = retry
        self._now = now
        self._fresh_units = fresh_units  # returns when `units` holds all that was committed before a time
        self._told = told  # puts a certificate on record for people; may be given one again
        self._entries = DisposeEntries(ledger, self._live, writer, host, retry, now)
        self._ending = Ending(ledger, buckets, rows, writer, host, retry, now)

    async def advance(self, unit: Unit) -> Advanced:
        """Takes the steps that can be taken now. Raises Retryable, and Fatal for a broken chain."""
        try:
            return await self._advance(unit)
        except (Moved, Taken):
            return Advanced(Outcome.MOVED, "another worker took a step", self._now())

    async def recall(self, unit: Unit, by: str) -> Outcome:
        """Takes a disposal back that can be taken back, so that the unit can be read again."""
        stood = await pending.read(self._ledger, unit, self._retry)
        if stood is None:
            return Outcome.NOTHING
        try:
            taken_back = await recall(self._ledger, self._rows, stood, by, self._retry, self._now())
        except Moved:
            return Outcome.MOVED
        return Outcome.RECALLED if taken_back else Outcome.NOTHING

    async def _advance(self, unit: Unit) -> Advanced:
        stood = await pending.read(self._ledger, unit, self._retry)
        verdict = await self._judge(unit)
        # one that nobody is sure of goes neither on nor back. An entry alone is no leave to go on: whoever
        # wrote it, the unit goes by its policy and its wait
        if verdict.reason in UNSURE or (stood is None and not verdict.due):
            return Advanced(Outcome.KEPT, verdict.words)
        step = None if stood is None else stood.pending.step
        if stood is not None and (step is Step.RECALLED or (step in RECALLABLE and not verdict.due)):
            return await self._recalled(stood, verdict)
        if stood is not None and (until := self._waits(stood.pending)) is not None:
            return Advanced(Outcome.DISABLED, verdict.words, until)
        head = await unit_chain.head(self._ledger, unit, self._retry)
        certified = await self._ending.certified(head)
        left = uncertified(head, certified)
        if left and stood is not None and step is Step.DISPOSING:
            return await self._end(head, certified, stood)
        # one that is DISPOSING goes on whatever the policy: another worker may be about to write its entry
        found = await self._live(head)
        if not left and not goes(found):
            if stood is not None and step in RECALLABLE:
                await self._recalled(stood, verdict)  # nobody leaves a key disabled behind it
            elif stood is not None:
                await self._close(unit, await certificate.of(self._ledger, unit, self._retry))
            return Advanced(Outcome.NOTHING)
        return await self._dispose(found, certified, stood, verdict)

    async def _dispose(
        self, found: Live, certified: frozenset[int], stood: Stood | None, verdict: Verdict
    ) -> Advanced:
        unit = found.head.unit
        revision, is_ours = None, False
        if stood is None:
            revision = await unit_keys.revision(self._rows, unit, self._retry)
            beginning = self._beginning(unit, verdict, revision)
            stood = await pending.begin(self._ledger, beginning, self._retry)
            is_ours = stood.pending == beginning
            # a hold that came before the beginning was on record is seen now
            verdict = await self._judge(unit)
            if not verdict.due:
                return await self._recalled(stood, verdict)
        if stood.pending.step is Step.BEGUN:
            if not is_ours:
                revision = await unit_keys.revision(self._rows, unit, self._retry)
            stood = await self._disable(unit, stood, revision)
        if stood.pending.step is Step.DISABLED:
            if (until := self._waits(stood.pending)) is not None:
                return Advanced(Outcome.DISABLED, verdict.words, until)
            # `retention hold` replaces the record; any other change of the policy is seen only by reading it
            verdict = await self._judge(unit)
            if verdict.reason in UNSURE:
                return Advanced(Outcome.KEPT, verdict.words)
            if not verdict.due:
                return await self._recalled(stood, verdict)
            self._ending.check_buckets(stood.pending)
            stood = await self._step(stood, Step.DISPOSING)
        if stood.pending.step is not Step.DISPOSING:
            raise Moved
        return await self._end(await self._entries.write(found, stood.pending), certified, stood)

    def _waits(self, begun: Pending) -> int | None:
        """Until when it can be taken back, while that lasts."""
        if begun.step is not Step.DISABLED or begun.disabled_at is None:
            return None
        until = begun.disabled_at + self._terms.destroy_after
        return until if self._now() < until else None

    async def _disable(self, unit: Unit, stood: Stood, revision: int | None) -> Stood:
        """`revision`: of the key's row; None where it is shredded. Raises Moved where somebody changed the
        row meanwhile, as whoever recalls does."""
        if revision is None:
            # without a key nothing can be read any more: there is nothing that a wait would leave open
            return await self._step(stood, Step.DISABLED, disabled_at=None)
        if revision != stood.pending.revision:
            stood = await self._step(stood, Step.BEGUN, revision=revision)
        if not await unit_keys.disabled(self._rows, unit, revision, self._retry, self._now()):
            raise Moved
        return await self._step(stood, Step.DISABLED, disabled_at=self._now())

    async def _recalled(self, stood: Stood, verdict: Verdict) -> Advanced:
        await recall(self._ledger, self._rows, stood, self._writer.id, self._retry, self._now())
        return Advanced(Outcome.RECALLED, verdict.words)

    async def _end(self, head: UnitHead, certified: frozenset[int], stood: Stood) -> Advanced:
        """Behind the dispose entry: there is no way back, and all that is left may be repeated."""
        unit = head.unit
        self._ending.check_buckets(stood.pending)
        destroyed_at = await self._ending.destroy(unit)
        until = destroyed_at + self._terms.shred_latency
        if self._now() < until:
            return Advanced(Outcome.DESTROYED, "the last cache may still have the key", until)
        await self._fresh_units(until)
        # what somebody had sealed before the key was disabled, and committed since, goes too
        found = await self._live(await unit_chain.head(self._ledger, unit, self._retry, head))
        while goes(found):
            found = await self._live(await self._entries.write(found, stood.pending))
        emptied = await self._ending.delete(found.head, certified)
        if isinstance(emptied, Stuck):
            return Advanced(Outcome.STUCK, emptied.words, None, emptied)
        issued = await self._ending.certify(found, emptied, stood.pending.disabled_at, destroyed_at)
        if certified or len(issued) < len(emptied):  # others that nobody may have been told of
            await self._close(unit, await certificate.of(self._ledger, unit, self._retry))
        else:
            await self._close(unit, issued)
        stored_bytes = sum(each.disposed.stored_bytes for each in issued)
        return Advanced(Outcome.DONE, certified=len(issued), stored_bytes=stored_bytes)

    async def _close(self, unit: Unit, certificates: Sequence[Certificate]) -> None:
        """`certificates`: all of the unit's. Only what people were told of is over."""
        for each in certificates:
            await self._told(each)
        await pending.end(self._ledger, unit, self._retry)

    def _beginning(self, unit: Unit, verdict: Verdict, revision: int | None) -> Pending:
        return Pending(
            **unit._asdict(),
            step=Step.BEGUN,
            begun_at=self._now(),
            reason=str(verdict.reason),
            policy=verdict.policy,
            words=verdict.words,
            revision=revision,
            buckets=self._ending.buckets,
            attempt=secrets.token_hex(8),
            by=self._writer.id,
        )

    async def _step(self, stood: Stood, to: Step, **changes: int | None) -> Stood:
        following = replace(stood.pending, step=to, by=self._writer.id, **changes)
        return await pending.step(self._ledger, stood, following, self._retry)

    async def _live(self, head: UnitHead) -> Live:
        """Of the unit whose own chain ends at `head`."""
        return await live.unit_at(self._heads, head, await self._units.objects(head.unit))
