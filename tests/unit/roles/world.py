"""An owner with what it stands on, in memory: ledger, log, policy, a stream that notes what it is told."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.runs import LOG_APPEND_TIME, runs_of
from tests.unit.ledger.world import WRITER, MemoryLog, flusher, log_id, retry
from workers.intake.policy import Policy
from workers.intake.refusals import Refusals
from workers.intake.samples import Samples
from workers.intake.sort import Sorter
from workers.ledger.assign import claim
from workers.ledger.entries import Entry
from workers.ledger.head import Head
from workers.ledger.names import ChainId
from workers.ledger.verify import Verifier
from workers.ledger.verify_report import Report
from workers.observe.health import Steps
from workers.roles.owner import Limits, Owner
from workers.store.memory import MemoryStore
from workers.stream.chunk import Chunk

LIMITS = Limits(flush_bytes=10_000, flush_interval=5.0, buffer_bytes_max=40_000, shutdown_timeout=2.0)


@dataclass
class Record:
    offset: int
    value: bytes | None
    timestamp: int = 1_764_000_000_000
    timestamp_type: int = LOG_APPEND_TIME


@dataclass
class FakeStream:
    """Notes what the owner asks of it, and claims again when it is told to."""

    owner: Owner | None = None
    hints: dict[int, tuple[int, str]] = field(default_factory=dict)
    halted: set[int] = field(default_factory=set)
    reclaimed: list[Mapping[int, int | None]] = field(default_factory=list)

    async def commit_hint(self, hints: Mapping[int, tuple[int, str]]) -> bool:
        self.hints.update(hints)
        return True

    async def halt(self, partitions: frozenset[int]) -> None:
        self.halted |= partitions

    async def reclaim(self, partitions: frozenset[int]) -> None:
        assert self.owner is not None
        self.reclaimed.append(await self.owner.claim(partitions))


@dataclass
class FakePolicy:
    old: bool = False

    def stale(self) -> bool:
        return self.old

    def versions(self) -> dict[str, tuple[int, ...]]:
        return {"write-keys": (7,)}


@dataclass
class World:
    store: MemoryStore = field(default_factory=MemoryStore)
    logs: dict[int, MemoryLog] = field(default_factory=dict)
    policy: FakePolicy = field(default_factory=FakePolicy)
    stream: FakeStream = field(default_factory=FakeStream)
    time: int = 1_764_000_000_000
    holds: set[str] = field(default_factory=set)
    steps: Steps = field(default_factory=Steps)

    def hold(self, cause: str, why: str) -> Callable[[], None]:
        self.holds.add(cause)
        return lambda: self.holds.discard(cause)

    def owner(
        self,
        limits: Limits = LIMITS,
        refused: Callable[[Entry, Refusals], None] = lambda entry, refusals: None,
        observed: Callable[[ChainId, Samples], None] = lambda chain, samples: None,
        policy: Policy | None = None,
    ) -> Owner:
        async def claims(partition: int) -> Head:
            log = self.logs.setdefault(partition, MemoryLog())
            return await claim(
                self.store, log_id(partition), log, hint=None, writer=WRITER, now=self.time, retry=retry()
            )

        owner = Owner(
            claims,
            Sorter(policy or Policy()),
            self.policy,
            flusher(self.store),
            limits,
            self.hold,
            self.steps.step,
            lambda: self.time,
            lambda: self.time / 1000,
            refused,
            observed,
        )
        owner.stream = self.stream
        self.stream.owner = owner
        return owner

    def chunk(self, partition: int, count: int, size: int = 100) -> Chunk:
        """The next `count` records of the partition; nobody knows their key, so they are kept aside."""
        log = self.logs.setdefault(partition, MemoryLog())
        start = log.end
        body = b'{"v":1,"writeKey":"k%d","receivedAt":"2026-11-25T00:00:00Z","event":{"pad":"%s"}}'
        log.produce([body % (offset, b"x" * size) for offset in range(start, start + count)])
        records = [Record(offset, log.records[offset]) for offset in range(start, log.end)]
        return Chunk(partition, start, log.end, runs_of(records))

    async def verify(self) -> Report:
        return await Verifier(self.store, self.store, retry()).run()


async def settled(owner: Owner) -> None:
    await asyncio.gather(*(partition.settle() for partition in owner.partitions.values()))
