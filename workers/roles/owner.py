"""The partitions that this worker owns: takes their chunks, decides when to flush, lets go at a revocation.

What waits here is bounded in bytes. Everything that waits can be dropped: the log still holds it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from workers.errors import Fatal
from workers.intake.refusals import Refusals
from workers.intake.samples import Samples
from workers.intake.sort import Sorter
from workers.ledger.assign import gap_filled
from workers.ledger.entries import Entry
from workers.ledger.flush import Commit, Fenced, Flusher, UnitsDisposed
from workers.ledger.head import Head
from workers.ledger.names import ChainId
from workers.ledger.partition import Partition
from workers.observe import metrics
from workers.roles import tally
from workers.roles.background import Background
from workers.roles.halts import Halts
from workers.roles.hints import LeftHints
from workers.roles.late_units import LateUnits
from workers.store.retry import Hold
from workers.stream.chunk import Chunk

log = structlog.get_logger()

NEARLY_FULL = (
    0.75  # of buffer_bytes_max: from here the largest batch is flushed early, before fetching must stop
)
# seconds that a revocation waits for a last flush: the group stands still meanwhile, and gives us up after 30
DRAIN_WAIT = 20.0
STALE_POLL = 0.05  # seconds between looks at a policy copy that is too old to decide on


@dataclass(frozen=True, slots=True)
class Limits:
    flush_bytes: int  # plain bytes of one partition's batch
    flush_interval: float  # seconds from a batch's first chunk
    buffer_bytes_max: int  # plain bytes of all partitions, batches under way included
    shutdown_timeout: float  # seconds for the last flush
    observe_interval: float = 15.0  # seconds of one partition's records that the judge is told of at once


class Stream(Protocol):
    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        """False if they could not be left now."""

    async def halt(self, partitions: frozenset[int]) -> None:
        """Fetches no more of them."""

    async def reclaim(self, partitions: frozenset[int]) -> None:
        """Claims them anew and seeks."""


class PolicyCopy(Protocol):
    """What the worker knows of keys and workspaces."""

    def stale(self) -> bool:
        """Too old to decide on."""

    def versions(self) -> dict[str, tuple[int, ...]]:
        """Topic → highest offset applied a partition."""


class Owner:
    """Called by the stream, always on the event loop's thread. `failed` ends the worker when it is set."""

    def __init__(
        self,
        claim: Callable[[int], Awaitable[Head]],
        sorter: Sorter,
        policy: PolicyCopy,
        flusher: Flusher,
        limits: Limits,
        hold: Hold,
        step: Callable[[], None],
        now: Callable[[], int],
        uptime: Callable[[], float],
        refused: Callable[[Entry, Refusals], None] = lambda entry, refusals: None,
        observed: Callable[[ChainId, Samples], None] = lambda chain, samples: None,
    ) -> None:
        self._claim = claim
        self._sorter = sorter
        self._policy = policy
        self._flusher = flusher
        self._limits = limits
        self._hold = hold
        self._step = step  # told of everything that gets done
        self._now = now  # ms since the epoch: for what is written
        self._uptime = uptime  # seconds of a monotonic clock: for what is due
        self._refused = refused  # told of each committed batch; never waits
        self._observed = observed  # told of what was taken, committed or not; never waits
        self._draining, self._drained = False, asyncio.Event()
        self._owned: dict[int, Partition] = {}
        self._late = LateUnits(sorter.policy)
        self._hints = LeftHints()
        self._changed = asyncio.Event()  # room may have come free, or a partition gone
        self._background = Background()
        self.failed = self._background.failed
        self._hinting: asyncio.Task[None] | None = None
        self.stream: Stream | None = None
        self._halts = Halts()

    # -- what the stream calls ------------------------------------------------------------------

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        """Where each partition goes on, by the ledger; None for one that is halted."""
        await self._drop(partitions)
        places = await asyncio.gather(*(self._claim_one(number) for number in sorted(partitions)))
        self._step()
        return dict(zip(sorted(partitions), places, strict=True))

    async def revoked(self, partitions: frozenset[int]) -> None:
        if self._draining and not self._drained.is_set():
            await self._let_drain(partitions)
        for number in partitions:
            self._halts.over(number)
        await self._drop(partitions)

    async def _let_drain(self, partitions: frozenset[int]) -> None:
        """When workers stop together, each that leaves the group has the others' partitions revoked."""
        log.info(
            "revocation_waits", partitions=sorted(partitions), cause="the last flush", at_most=DRAIN_WAIT
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained.wait(), DRAIN_WAIT)

    async def take(self, chunk: Chunk) -> None:
        """Sorts a chunk into its partition's batch. Waits for room and for a policy that is fresh enough."""
        partition = self._owned.get(chunk.partition)
        if partition is None or not await self._may_take(partition):
            return
        batch = partition.batch
        if chunk.start != partition.due:
            # fetched before this partition was claimed anew: the seek brings the right one
            log.warning("chunk_out_of_place", partition=chunk.partition, start=chunk.start, due=partition.due)
            return
        if chunk.first is not None and chunk.first < batch.next:
            changed = gap_filled(partition.head, chunk.first)
            self._background.run(self._halt_owned(partition.number, changed))
            return
        partition.due = chunk.end
        if chunk.end <= batch.next:
            return  # all of it lies before the head, and is still gaps
        now = self._now()
        bytes_before = batch.sorting.value_bytes
        self._sorter.sort(chunk.runs, now=now, into=batch.sorting, seen=partition.samples)
        partition.samples.note(chunk.end, self._uptime())
        batch.extend(
            chunk.end,
            chunk.records,
            uptime=self._uptime(),
            oldest=_appended(chunk, now),
        )
        batch.policy = self._policy.versions()
        self._step()
        metrics.RECORDS_IN.inc(chunk.records)
        metrics.BYTES_IN.inc(batch.sorting.value_bytes - bytes_before)
        if batch.plain_bytes >= self._limits.flush_bytes:
            self._flush(partition)
        elif self.buffered_bytes >= self._limits.buffer_bytes_max * NEARLY_FULL:
            self._flush_largest()

    async def drain(self) -> None:
        """The last flush: what is not committed within shutdown_timeout, the next owner fetches again."""
        self._draining = True
        try:
            await self._flush_all()
        finally:
            self._drained.set()
        await self._leave_hints()

    async def _flush_all(self) -> None:
        for partition in self._owned.values():
            self._show(partition)
            if not partition.batch.empty:
                self._flush(partition)
        settled = asyncio.gather(*(partition.settle() for partition in self._owned.values()))
        try:
            await asyncio.wait_for(settled, self._limits.shutdown_timeout)
        except TimeoutError:
            log.warning("last_flush_given_up", buffered_bytes=self.buffered_bytes)
            await asyncio.gather(*(partition.drop() for partition in self._owned.values()))

    # -- what the role calls --------------------------------------------------------------------

    async def tick(self) -> None:
        """Flushes what has waited long enough; leaves hints. About once a second."""
        if self._draining:
            return
        uptime = self._uptime()
        for partition in list(self._owned.values()):
            began = partition.batch.began
            if began is not None and uptime - began >= self._limits.flush_interval:
                self._flush(partition)
            began = partition.samples.began
            if began is not None and uptime - began >= self._limits.observe_interval:
                self._show(partition)
        self._measure()
        self._look_at_halts(uptime)
        if self._hinting is None or self._hinting.done():
            # beside the flushes: a coordinator that is mute must not hold them up
            self._hinting = self._background.run(self._leave_hints())

    async def _leave_hints(self) -> None:
        if self.stream is not None:
            await self._hints.leave(
                (partition.head for partition in self._owned.values()), self.stream.commit_hint
            )

    @property
    def buffered_bytes(self) -> int:
        return sum(partition.buffered_bytes for partition in self._owned.values())

    @property
    def halted(self) -> Mapping[int, Fatal]:
        """Why, by partition."""
        return self._halts.why

    @property
    def partitions(self) -> Mapping[int, Partition]:
        return self._owned

    # -- inside ---------------------------------------------------------------------------------

    async def _claim_one(self, number: int) -> int | None:
        try:
            head = await self._claim(number)
        except Fatal as error:
            self._halts.add(number, error, self._uptime())
            return None
        self._halts.over(number)
        partition = self._owned[number] = Partition(head, self._flusher)
        self._late.claimed(number)
        self._hints.claimed(number)
        log.info("partition_claimed", partition=number, next=head.next, incarnation=head.chain.incarnation)
        return partition.due

    async def _drop(self, partitions: frozenset[int]) -> None:
        gone = [self._owned.pop(number) for number in partitions if number in self._owned]
        self._changed.set()
        for partition in gone:
            self._show(partition)
        dropped = await asyncio.gather(*(partition.drop() for partition in gone))
        metrics.RECORDS_DROPPED.inc(sum(dropped))
        self._measure()

    async def _may_take(self, partition: Partition) -> bool:
        """False if the partition went while we waited."""
        while self._owned.get(partition.number) is partition:
            if self.buffered_bytes >= self._limits.buffer_bytes_max:
                self._flush_largest()
                self._changed.clear()
                await self._changed.wait()
            elif self._policy.stale():
                await self._until_fresh(partition)
            else:
                return True
        return False

    async def _until_fresh(self, partition: Partition) -> None:
        release = self._hold("policy_stale", "the copy of write keys or workspaces is too old to decide on")
        try:
            # its age is a matter of time, which no event tells
            while self._policy.stale() and self._owned.get(partition.number) is partition:  # noqa: ASYNC110
                await asyncio.sleep(STALE_POLL)
        finally:
            release()

    def _flush(self, partition: Partition) -> None:
        began, records = self._uptime(), partition.batch.records
        refusals = partition.batch.sorting.refused
        flight = partition.flush()

        def landed(done: asyncio.Task[Commit]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._refused(done.result().entry, refusals)
            self._landed(partition, began, records, done)

        flight.add_done_callback(landed)

    def _show(self, partition: Partition) -> None:
        """Also what will be read again, here or elsewhere: the judge counts an offset once."""
        samples = partition.show()
        if samples.groups:
            self._observed(partition.head.chain, samples)

    def _flush_largest(self) -> None:
        """Unless one is under way already: many small flushes would make many small objects."""
        if any(partition.flushes for partition in self._owned.values()):
            return
        largest = max(self._owned.values(), key=lambda partition: partition.batch.plain_bytes)
        if not largest.batch.empty:
            self._flush(largest)

    def _landed(self, partition: Partition, began: float, records: int, flight: asyncio.Task[Commit]) -> None:
        self._changed.set()
        error = asyncio.CancelledError() if flight.cancelled() else flight.exception()
        if error is None:
            self._step()
            metrics.FLUSH_SECONDS.observe(self._uptime() - began)
            tally.committed(flight.result().entry)
            return
        metrics.RECORDS_DROPPED.inc(records)
        if not flight.cancelled() and self._owned.get(partition.number) is partition:
            self._failed(partition, error)

    def _failed(self, partition: Partition, error: BaseException) -> None:
        number = partition.number
        if isinstance(error, Fenced):
            metrics.FENCED.inc()
            log.warning("fenced", partition=number, cause=error.message)
            self._background.run(self._claim_again(number))
        elif isinstance(error, UnitsDisposed) and self._late.refuse(number, error):
            self._background.run(self._claim_again(number))
        elif isinstance(error, Fatal):
            self._background.run(self._halt_owned(number, error))
        else:
            self._background.fail(error)

    async def _claim_again(self, number: int) -> None:
        await self._drop(frozenset({number}))
        if self.stream is not None:
            await self.stream.reclaim(frozenset({number}))

    async def _halt_owned(self, number: int, error: Fatal) -> None:
        await self._drop(frozenset({number}))
        self._halts.add(number, error, self._uptime())
        if self.stream is not None:
            await self.stream.halt(frozenset({number}))

    def _look_at_halts(self, uptime: float) -> None:
        if self.stream is not None and (due := self._halts.due(uptime)):
            self._background.run(self.stream.reclaim(due))

    def _measure(self) -> None:
        tally.waiting(self._owned.values(), len(self.halted), self._now())


def _appended(chunk: Chunk, now: int) -> int | None:
    """When the first of its records was, in ms since the epoch, as sorting has it; None where it has none."""
    if not chunk.runs:
        return None
    appended = chunk.runs[0].appended
    return now if appended is None else appended
