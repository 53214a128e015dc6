"""The judge between Kafka and S3: folds observations, puts verdicts on record, keeps what it knows.

In that order, for each chunk: a snapshot holds no verdict that is not in its policy chain. So a judge that
dies anywhere is followed by one that folds the same observations and says the same again: it changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

import structlog

from topics import origin_observations
from workers.by import By
from workers.errors import Poison
from workers.ledger.verdict_commands import Judged
from workers.observe import metrics
from workers.origins.judge import Conclusion, Judge
from workers.roles.judge_snapshots import Snapshot
from workers.stream.chunk import Chunk

log = structlog.get_logger()

WHO = "judge"
BRAKED = "Ask the customer whether the host is theirs (deploy/runbooks/judge_brake.md)"
OVERDUE = 24 * 3600.0  # seconds after which keys that sent nothing are looked for again


class Bounds(Protocol):
    async def bounds(self, topic: str, partitions: frozenset[int]) -> dict[int, tuple[int, int]]: ...


class Stream(Protocol):
    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool: ...


class Kept(Protocol):
    async def latest(self, partition: int) -> Snapshot | None: ...

    async def keep(self, partition: int, offset: int, body: bytes) -> int: ...


class Held:
    """What this worker knows of one partition."""

    def __init__(self, judge: Judge, offset: int, at: float) -> None:
        self.judge = judge
        self.next = offset
        self.kept = offset  # as of its newest snapshot
        self.kept_at = at
        self.swept_at = at


class JudgeOwner:
    """An Owner of the partitions of origin-observations (workers/stream/chunk.py). `interval` in seconds."""

    def __init__(
        self,
        snapshots: Kept,
        log: Bounds,
        topic: str,
        append: Callable[[Judged, By], Awaitable[object]],
        *,
        host: str,
        interval: float,
        now: Callable[[], int],
        clock: Callable[[], float],
        step: Callable[[], None],
    ) -> None:
        self._snapshots = snapshots
        self._log = log
        self._topic = topic
        self._append = append
        self._host = host
        self._interval = interval
        self._now = now  # ms since the epoch
        self._clock = clock  # uptime, seconds
        self._step = step
        self._held: dict[int, Held] = {}
        self._working: tuple[int, asyncio.Task[None]] | None = None
        self.stream: Stream | None = None

    @property
    def busy(self) -> bool:
        return self._working is not None

    # -- what the stream calls -------------------------------------------------------------------------

    async def claim(self, partitions: frozenset[int]) -> Mapping[int, int | None]:
        """From the newest snapshot on; without one, from the first observation that there is."""
        bounds = await self._log.bounds(self._topic, partitions)
        starts: dict[int, int | None] = {}
        for partition, (first, end) in bounds.items():
            found = await self._snapshots.latest(partition)
            if found is not None and found.offset > end:
                log.warning("snapshot_beyond_log", partition=partition, offset=found.offset, end=end)
                found = None
            start = max(first, found.offset) if found is not None else first
            judge = found.judge if found is not None else Judge()
            self._held[partition] = Held(judge, start, self._clock())
            log.info("judge_claimed", partition=partition, start=start, end=end, keys=len(judge.keys))
            starts[partition] = start
        return starts

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Drops what was not kept: whoever is next folds it again."""
        for partition in partitions:
            self._held.pop(partition, None)
        if self._working is not None and self._working[0] in partitions:
            self._working[1].cancel()
        self._measure()

    async def take(self, chunk: Chunk) -> None:
        held = self._held.get(chunk.partition)
        if held is None:
            return
        if chunk.start != held.next:
            # fetched before this partition was claimed anew: what lies between would never be folded
            log.warning("chunk_out_of_place", partition=chunk.partition, start=chunk.start, due=held.next)
            return
        task = asyncio.create_task(self._fold(held, chunk))
        self._working = chunk.partition, task
        try:
            await asyncio.wait([task])
        finally:
            self._working = None
        if not task.cancelled():
            task.result()

    async def drain(self) -> None:
        if (
            self._working is not None
        ):  # amid a chunk the state is of no offset, and its verdicts are on no record
            await asyncio.wait([self._working[1]])
        for partition, held in list(self._held.items()):
            await self._keep(partition, held)

    # -- the work --------------------------------------------------------------------------------------

    async def _fold(self, held: Held, chunk: Chunk) -> None:
        concluded: list[Conclusion] = []
        for value in chunk.values():
            concluded += self._folded(held.judge, value)
        for braked in held.judge.braked:
            metrics.JUDGE_BRAKED.labels(brake=braked.brake).inc()
            log.warning("verdict_braked", **braked._asdict(), remedy=BRAKED)
        held.judge.braked.clear()
        for conclusion in concluded:
            await self._put_on_record(conclusion)
        held.next = chunk.end
        self._step()
        self._measure()
        if self._clock() - held.kept_at >= self._interval:
            await self._keep(chunk.partition, held)

    def _folded(self, judge: Judge, value: bytes | None) -> list[Conclusion]:
        try:
            seen = origin_observations.codec.read(value or b"")
        except Poison:
            metrics.JUDGE_OBSERVATIONS.labels(outcome="unreadable").inc()
            return []
        folded = judge.folded
        concluded = judge.fold(seen)
        outcome = "folded" if judge.folded > folded else "repeated"
        metrics.JUDGE_OBSERVATIONS.labels(outcome=outcome).inc()
        return concluded

    async def _put_on_record(self, conclusion: Conclusion) -> None:
        judged = Judged(
            conclusion.key, conclusion.workspace, conclusion.host, conclusion.kind, conclusion.evidence
        )
        by = By(WHO, self._host, conclusion.words[:1000], self._now())
        try:
            await self._append(judged, by)
        except Poison as error:  # the key is another workspace's by now, or nothing that policy can name
            log.warning("verdict_refused", kind=conclusion.kind, why=error.message)
            return
        metrics.JUDGE_VERDICTS.labels(kind=conclusion.kind).inc()
        log.info(
            "verdict",
            kind=conclusion.kind,
            workspace=conclusion.workspace,
            host=conclusion.host,
            families=conclusion.families,
            held=conclusion.held,
        )

    async def _keep(self, partition: int, held: Held) -> None:
        """A snapshot, if there is news."""
        if held.next == held.kept:
            return
        if self._clock() - held.swept_at >= OVERDUE:
            held.judge.expire(self._now())
            held.swept_at = self._clock()
        offset, body = held.next, held.judge.snapshot()
        stored = await self._snapshots.keep(partition, offset, body)
        held.kept, held.kept_at = offset, self._clock()
        metrics.JUDGE_SNAPSHOT_BYTES.set(stored)
        metrics.JUDGE_SNAPSHOT_ENDED.set(self._now() / 1000)
        if self.stream is not None:  # for people who look at the group's lag: the snapshot's name decides
            await self.stream.commit_hint({partition: (offset, "")})

    def _measure(self) -> None:
        keys = [key for held in self._held.values() for key in held.judge.keys.values()]
        metrics.JUDGE_KEYS.set(len(keys))
        metrics.JUDGE_HOSTS.set(sum(len(key.hosts) for key in keys))
