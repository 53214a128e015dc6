"""Tells the topic `origin-observations` what was seen of hosts. Beside the flushes, and never in their way.

What can't be told is dropped and counted: the judge then knows less, and quarantines nothing for it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from topics.origin_observations import OriginObservation, codec, record_key
from topics.workspaces import Workspace
from workers.errors import Fatal, StrongroomError
from workers.intake.dispositions import Decision
from workers.intake.facts import Account
from workers.intake.observing import HashKey, Span, observe
from workers.intake.samples import Group, Samples
from workers.ledger.names import ChainId
from workers.observe import metrics

log = structlog.get_logger()

WAITING_BYTES_MAX = 64 * 1024 * 1024  # of kept records: where more wait, the oldest go
AT_ONCE = 100  # rows on their way
LAST_WORD = 2.0  # seconds that the end of a worker grants to what still waits
DEFECT = "This is a defect of the program: report it"
PURPOSE = b"strongroom origin-observations"  # of the hashes' key: a format, it never changes


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes | None) -> object: ...


class Keys(Protocol):
    async def derived(self, workspace: str, purpose: bytes) -> tuple[int, bytes]:
        """Its generation and 32 bytes."""


class ObservationReports:
    """`topic` has the fleet's prefix. Rows may come twice, when an answer of Kafka's was lost."""

    def __init__(
        self, publisher: Publisher, topic: str, workspace: Callable[[str], Workspace | None], keys: Keys
    ) -> None:
        self._publisher = publisher
        self._topic = topic
        self._workspace = workspace
        self._keys = keys
        self._waiting: deque[tuple[Span, Samples]] = deque()
        self._waiting_bytes = 0
        self._come = asyncio.Event()
        self._told = True  # whether the last span was told

    def tell(self, chain: ChainId, samples: Samples) -> None:
        """Of records that were taken. Returns at once."""
        span = Span(*chain, samples.start, samples.end, samples.first_at, samples.last_at)
        self._waiting.append((span, samples))
        self._waiting_bytes += samples.bytes
        while self._waiting_bytes > WAITING_BYTES_MAX:
            self._next()
            metrics.OBSERVATIONS_DROPPED.inc()
        self._come.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if not self._waiting:
                await self._come.wait()
                self._come.clear()
            else:
                await self._send(*self._next())

    async def stop(self) -> None:
        """Sends what waits, if that is quick."""
        try:
            async with asyncio.timeout(LAST_WORD):
                while self._waiting:
                    await self._send(*self._next())
        except TimeoutError:
            metrics.OBSERVATIONS_DROPPED.inc(1 + len(self._waiting))

    def _next(self) -> tuple[Span, Samples]:
        span, samples = self._waiting.popleft()
        self._waiting_bytes -= samples.bytes
        return span, samples

    async def _send(self, span: Span, samples: Samples) -> None:
        by_source: dict[tuple[str, str], dict[Decision, Group]] = {}
        for decision, group in samples.groups.items():
            if group.kept:
                by_source.setdefault((decision.workspace, decision.source), {})[decision] = group
        failed: StrongroomError | None = None
        rows: list[OriginObservation] = []
        for (workspace, source), groups in by_source.items():
            try:
                rows += await self._rows(span, workspace, source, groups)
            except StrongroomError as error:
                metrics.OBSERVATIONS_DROPPED.inc()
                failed = error
            if len(rows) >= AT_ONCE:
                failed = await self._send_rows(rows) or failed
                rows.clear()
            await asyncio.sleep(0)  # the stream goes on in between
        failed = await self._send_rows(rows) or failed
        if failed is not None and self._told:
            log.warning("observations_not_sent", error=failed.message, remedy=failed.remedy)
        self._told = failed is None

    async def _rows(
        self, span: Span, workspace: str, source: str, groups: dict[Decision, Group]
    ) -> list[OriginObservation]:
        """What was seen of a source. Raises StrongroomError."""
        known = self._workspace(workspace)
        if known is None:
            return []
        key = HashKey(*await self._keys.derived(workspace, PURPOSE))
        try:
            return list(observe(span, groups, Account(known, source), key))
        except Exception as error:  # what a stranger sent must not end the archive
            raise Fatal(f"{type(error).__name__} while observing", remedy=DEFECT) from error

    async def _send_rows(self, rows: Sequence[OriginObservation]) -> StrongroomError | None:
        """AT_ONCE at a time: one behind the other, each would wait for its answer. What went wrong, if so."""
        failed = None
        for at in range(0, len(rows), AT_ONCE):
            sent = map(self._send_row, rows[at : at + AT_ONCE])
            for outcome in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(outcome, StrongroomError):
                    failed = outcome
                elif isinstance(outcome, BaseException):
                    raise outcome
        return failed

    async def _send_row(self, row: OriginObservation) -> None:
        try:
            await self._publisher.send_and_wait(self._topic, record_key(row), codec.encode(row))
        except StrongroomError:
            metrics.OBSERVATIONS_DROPPED.inc()
            raise
        metrics.OBSERVATIONS.inc()
