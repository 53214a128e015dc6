"""Tells the topic `rejections` what a committed batch refused. Beside the flushes, and never in their way."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import structlog

from topics.rejections import Rejection, codec, record_key
from workers.errors import Retryable, StrongroomError
from workers.intake.refusals import Refusal, Refusals, Tally
from workers.ledger.entries import Entry
from workers.observe import metrics

log = structlog.get_logger()

WAITING_MAX = 10_000  # rows, some 5 MB: an outage of Kafka costs the oldest of them, and no memory
PAUSE = 1.0  # seconds after Kafka did not take a row
AT_ONCE = 100  # rows on their way
LAST_WORD = 2.0  # seconds that the end of a worker grants to what still waits


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> object: ...


class RejectionReports:
    """`topic` has the fleet's prefix. Rows may come twice, when an answer of Kafka's was lost."""

    def __init__(self, publisher: Publisher, topic: str, now: Callable[[], int]) -> None:
        self._publisher = publisher
        self._topic = topic
        self._now = now
        self._waiting: deque[Rejection] = deque()
        self._come = asyncio.Event()
        self._told = True  # whether Kafka took the last row

    def tell(self, entry: Entry, refusals: Refusals) -> None:
        """Of an entry that is in the ledger. Returns at once."""
        for row in rows(entry, refusals, self._now()):
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                metrics.REJECTIONS_DROPPED.inc()
            self._waiting.append(row)
        self._come.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._waiting:
                await self._come.wait()
                self._come.clear()
            elif not await self._send():
                await asyncio.sleep(PAUSE)

    async def stop(self) -> None:
        """Sends what waits, if that is quick."""
        try:
            async with asyncio.timeout(LAST_WORD):
                while self._waiting and await self._send():
                    pass
        except TimeoutError:
            pass
        metrics.REJECTIONS_DROPPED.inc(len(self._waiting))

    async def _send(self) -> bool:
        """Sends the oldest rows; False if Kafka is away: they wait on."""
        rows = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        left = list(rows)
        try:
            outcomes = await asyncio.gather(*map(self._send_one, rows), return_exceptions=True)
            left = [
                row for row, outcome in zip(rows, outcomes, strict=True) if isinstance(outcome, Retryable)
            ]
        finally:
            self._waiting.extendleft(reversed(left))  # also when cancelled: the last word takes them up
            if left:
                self._come.set()
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, StrongroomError):
                raise outcome
            if isinstance(outcome, StrongroomError) and not isinstance(outcome, Retryable):
                metrics.REJECTIONS_DROPPED.inc()
        failed = next((outcome for outcome in outcomes if isinstance(outcome, StrongroomError)), None)
        if failed is not None and self._told:
            log.warning("rejections_not_sent", error=failed.message, remedy=failed.remedy)
        self._told = failed is None
        return not left

    async def _send_one(self, row: Rejection) -> None:
        await self._publisher.send_and_wait(self._topic, record_key(row), codec.encode(row))


def rows(entry: Entry, refusals: Refusals, now: int) -> Iterator[Rejection]:
    for refusal, tally in refusals.rows():
        yield _row(entry, refusal, tally, now)


def _row(entry: Entry, refusal: Refusal, tally: Tally, now: int) -> Rejection:
    return Rejection(
        topic=entry.topic,
        topic_id=entry.topic_id,
        incarnation=entry.incarnation,
        partition=entry.partition,
        start=entry.first,
        end=entry.next,
        attempt=entry.attempt,
        workspace=refusal.workspace,
        source=refusal.source,
        write_key=_line(refusal.write_key),
        reason=refusal.reason,
        host=_line(refusal.host),
        records=tally.records,
        offsets=tuple(sorted({tally.first_offset, tally.last_offset})),
        first_at=tally.first_at,
        last_at=tally.last_at,
        counted_at=now,
    )


def _line(sent: str) -> str:
    """What a stranger sent, as the schema takes it."""
    return sent[:300].encode(errors="replace").decode()
