"""A small ledger to test against: a log in memory, a store with faults, keys that seal by marking."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from workers.intake.batch import Batch
from workers.intake.dispositions import Clock, Disposition, Group
from workers.intake.lines import Lines
from workers.ledger import halts
from workers.ledger.assign import claim
from workers.ledger.entries import Closing, Opens, Writer, encode
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import Head, Hint
from workers.ledger.pack import Compression, Packer
from workers.ledger.succession import LogId
from workers.sealing.format import Sealed, seal
from workers.sealing.keys import BLOB_BYTES, BLOB_VERSION, HEADER, Level, Unit, context_of, service_context
from workers.sealing.refusals import KeyExpired, KeyShredded
from workers.store.memory import MemoryStore
from workers.store.port import IF_ABSENT
from workers.store.retry import Retry

TOPIC_ID = "5L6g3nShTeMCtKXX86swAA"
WRITER = Writer("worker-0", "test")
GROUP = Group("acme", "shop", "2026-11-25", Disposition.ACCEPTED, Clock.MAIN)
# the headers of a true seal, for those who read headers
WRAPPED = HEADER.pack(Level.DATA.value, BLOB_VERSION, bytes(16), 20261125, 1).ljust(BLOB_BYTES, b"\0")
SEAL = seal(b"", dek=bytes(32), msgid=secrets.token_bytes(28), wrapped=WRAPPED, context={}).metadata


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def retry(attempts: int = 20) -> Retry:
    return Retry(attempts=attempts, sleep=no_sleep)


@dataclass
class MarkingKey:
    """Seals by a visible mark, so that a test sees which key and name an object was sealed under."""

    unit: Unit
    generation: int = 1
    expired: bool = False

    def seal(self, plain: bytes, object_key: str) -> Sealed:
        if self.expired:
            raise KeyExpired("too old to seal with")
        context = json.dumps(service_context(context_of(self.unit, object_key)))
        return Sealed(b"sealed:" + plain, {**SEAL, "x-amz-t": context})

    def check(self) -> None:
        if self.expired:
            raise KeyExpired("too old to commit with")

    def open(self, body: bytes, metadata: dict[str, str], object_key: str) -> bytes:
        return body.removeprefix(b"sealed:")


@dataclass
class MarkingKeys:
    """`withdrawn`: as after a disposal; the first `expiring` keys are too old by the time that they seal."""

    withdrawn: bool = False
    expiring: int = 0
    given: list[MarkingKey] = field(default_factory=list)

    async def unit_key(self, unit: Unit, *, create: bool) -> MarkingKey:
        if self.withdrawn:
            raise KeyShredded("gone for good")
        self.expiring -= 1
        self.given.append(MarkingKey(unit, expired=self.expiring >= 0))
        return self.given[-1]

    def withdraw(self) -> None:
        """As a disposal does it: what was given out is of no use any more, and nothing is given out."""
        self.withdrawn = True
        for key in self.given:
            key.expired = True


@dataclass
class MemoryLog:
    """One partition of Kafka: offset → value; what is missing is a gap."""

    records: dict[int, bytes] = field(default_factory=dict)
    start: int = 0
    end: int = 0

    async def bounds(self) -> tuple[int, int]:
        return self.start, self.end

    async def record(self, offset: int) -> bytes | None:
        return self.records.get(offset)

    async def first_record(self, start: int, end: int) -> int | None:
        return min((offset for offset in self.records if start <= offset < end), default=None)

    def cut(self, end: int) -> None:
        """As an unclean election does it."""
        self.end = end
        self.records = {offset: value for offset, value in self.records.items() if offset < end}

    def expire(self, start: int) -> None:
        self.start = start
        self.records = {offset: value for offset, value in self.records.items() if offset >= start}

    def produce(self, values: Sequence[bytes]) -> None:
        for value in values:
            self.records[self.end] = value
            self.end += 1


def flusher(store: MemoryStore, *, tries: Retry | None = None, keys: MarkingKeys | None = None) -> Flusher:
    return Flusher(
        data=store,
        ledger=store,
        keys=keys or MarkingKeys(),
        packer=Packer(Compression.ZSTD, 1),
        writer=WRITER,
        retry=tries or retry(),
        threads=ThreadPoolExecutor(1),
        uploads=Uploads(4),
        now=lambda: 1_764_000_000_000,
    )


def log_id(partition: int = 0) -> LogId:
    return LogId("raw-events", TOPIC_ID, partition)


def batch_of(log: MemoryLog, first: int, end: int, group: Group = GROUP) -> Batch:
    """A batch of the log's records in [first, end), all accepted into one group."""
    batch = Batch(first)
    found = [(offset, log.records[offset]) for offset in range(first, end) if offset in log.records]
    for offset, value in found:
        batch.sorting.lines.setdefault(group, Lines()).extend([value])
        reasons = batch.sorting.counts.setdefault(group.disposition, {})
        reasons["accepted"] = reasons.get("accepted", 0) + 1
        batch.sorting.last = (offset, value)
        batch.sorting.plain_bytes += len(value)
    batch.extend(end, len(found), uptime=0.0, oldest=0)
    return batch


async def begin(store: MemoryStore, log: MemoryLog, hint: Hint | None = None) -> Head:
    return await claim(store, log_id(), log, hint=hint, writer=WRITER, now=1, retry=retry())


async def committed(store: MemoryStore, log: MemoryLog, sizes: list[int]) -> list[Head]:
    """Flushes batches of these sizes; the heads after each, the first claim's before."""
    heads = [await begin(store, log)]
    for size in sizes:
        first = heads[-1].next
        log.produce([b'{"n":%d}' % offset for offset in range(log.end, max(log.end, first + size))])
        head = heads[-1]
        batch = batch_of(log, first, first + size)
        heads.append((await flusher(store).flush(head.chain, batch, done(head))).head)
    return heads


def done(head: Head) -> Callable[[], Awaitable[Head]]:
    """What a flush waits for when nothing is under way."""

    async def known() -> Head:
        return head

    return known


def closing_of(newest: Head, opens: Opens, /, **more: Any) -> Closing:
    """What an operator puts behind `newest`."""
    chain = newest.chain
    closing = Closing(
        topic=chain.topic,
        topic_id=chain.topic_id,
        incarnation=chain.incarnation,
        partition=chain.partition,
        first=newest.next,
        head=newest.next,
        previous=newest.digest,
        cause=halts.LOG_START_ABOVE_HEAD,
        reason="retention was too short",
        actor="ops",
        host="bastion",
        version="test",
        attempt="0" * 16,
        committed_at=1_764_000_000_000,
        log=(opens.first, opens.first),
        lost=max(0, opens.first - newest.next),
        repeats=0,
        broken=(),
        opens=opens,
    )
    return structs.replace(closing, **more)


async def closed(store: MemoryStore, newest: Head, opens: Opens, /, **more: Any) -> Closing:
    """Ends the chain of `newest`, as an acknowledged loss does, and leaves the next chain unopened."""
    closing = closing_of(newest, opens, **more)
    await store.put(newest.chain.entry(closing.first), encode(closing), condition=IF_ABSENT)
    return closing
