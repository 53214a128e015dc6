"""An archive over many days: customers, their policies, what is committed, and what was kept of it."""

import asyncio
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from tests.contract.keystore.world import ROOT
from tests.unit.ledger.world import MemoryLog, done, log_id
from topics import audit, workspaces
from topics.workspaces import Workspace, WorkspaceState
from workers.by import By
from workers.intake.batch import Batch
from workers.intake.dispositions import (
    DEAD_LETTERS,
    PLATFORM,
    UNCLAIMED,
    Disposition,
    Group,
    clock_of,
)
from workers.intake.policy import Policy
from workers.ledger import policy_commands
from workers.ledger.assign import claim
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.flush import Flusher
from workers.ledger.head import Head
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import open_books
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.roots import Roots
from workers.store.port import Store
from workers.store.retry import Retry

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
BEGUN = 1_795_651_200_000  # 2026-11-26T00:00:00Z
RETRY = Retry(attempts=20)


class Buckets(NamedTuple):
    ledger: Store
    data: Store
    replica: Store
    keys: Store


class Customer(NamedTuple):
    """Days are numbers from the first: when its retention was set, it was held, it was closed."""

    name: str
    days: int | None = None
    set_on: int = 0
    held_on: int | None = None
    closed_on: int | None = None


class Kept(NamedTuple):
    """What an attacker, or a careless reader, has a copy of."""

    stored: StoredObject
    body: bytes
    metadata: dict[str, str]


class Place(NamedTuple):
    partition: int
    offset: int


class Spread:
    """Kafka's part: hands workspaces to the copies that follow, and remembers what was audited."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.audited: dict[str, int] = {}  # certificate's name → how often

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place:
        if topic == workspaces.NAME:
            self.policy.apply_workspace(value, key)
        elif topic == audit.NAME:
            record = audit.codec.decode(value)
            if record.action == "retention.disposed":
                self.audited[record.id] = self.audited.get(record.id, 0) + 1
        return Place(0, 0)


def name_of(number: int) -> str:
    """The UTC day of that number."""
    return datetime.fromtimestamp((BEGUN + number * DAY) / 1000, UTC).date().isoformat()


def customers(count: int, days: int, rng: random.Random) -> list[Customer]:
    """Three in five have a retention; three of these, or one of a few, are held; one is closed."""
    made = [Customer(f"c{number:02d}") for number in range(count)]
    with_policy = count * 3 // 5
    for number in range(with_policy):
        made[number] = made[number]._replace(
            days=rng.randint(2, max(3, days // 3)), set_on=rng.randrange(max(1, days // 3))
        )
    for number in range(min(3, max(1, with_policy // 4))):
        made[number] = made[number]._replace(held_on=rng.randrange(days // 3, days // 2))
    made[-1] = made[-1]._replace(closed_on=days // 2)
    return made


class Archive:
    """`now`: ms since the epoch, moved by whoever drives it."""

    def __init__(self, buckets: Buckets, customers: Sequence[Customer], rng: random.Random) -> None:
        self.buckets = buckets
        self.customers = customers
        self.now = BEGUN
        self.spread = Spread()
        self.kept: list[Kept] = []
        self._rng = rng
        self._books = open_books(buckets.ledger, self.spread, prefix="", retry=RETRY)
        self._keystore = self.keystore()
        self._threads = ThreadPoolExecutor(2)
        self._head: Head | None = None

    def keystore(self) -> Keystore:
        return Keystore([self.buckets.keys], Roots([ROOT]), life=300.0, now=lambda: self.now)

    async def change_policies(self, number: int) -> None:
        """What customers want on day `number`."""
        for each in self.customers:
            if number == 0:
                await self._set(each.name, plan="gold")
            if each.days is not None and number == each.set_on:
                await self._set(each.name, retention_days=each.days)
            if number == each.held_on:
                await self._set(each.name, legal_hold=True)
            if number == each.closed_on:
                await self._set(each.name, state=WorkspaceState.CLOSED)

    async def _set(self, name: str, **fields: object) -> None:
        def edit(before: Workspace) -> Workspace:
            return msgspec.structs.replace(before, **fields)

        await policy_commands.set_workspace(self._books, name, edit, By("test", "host", "test", self.now))

    async def commit_day(self, number: int) -> None:
        """One batch: an object of each customer that is open, some quarantined, some nobody's."""
        day = name_of(number)
        groups = [
            self._group(each.name, "web", day, Disposition.ACCEPTED)
            for each in self.customers
            if each.closed_on is None or number < each.closed_on
        ]
        quarantined = self._rng.sample([group.workspace for group in groups], len(groups) // 6)
        groups += [self._group(name, "web", day, Disposition.QUARANTINED) for name in quarantined]
        groups.append(self._group(PLATFORM, UNCLAIMED, day, Disposition.QUARANTINED))
        groups.append(self._group(PLATFORM, DEAD_LETTERS, day, Disposition.DEAD_LETTERED))
        await self._commit(groups, day)

    def _group(self, workspace: str, source: str, day: str, disposition: Disposition) -> Group:
        return Group(workspace, source, day, disposition, clock_of(workspace, source, disposition))

    async def _commit(self, groups: Sequence[Group], day: str) -> None:
        if self._head is None:
            self._head = await claim(
                self.buckets.ledger,
                log_id(),
                MemoryLog(),
                hint=None,
                writer=Writer("w", "t"),
                now=1,
                retry=RETRY,
            )
        head = self._head
        batch = Batch(head.next)
        records = 0
        for group in groups:
            lines = [b'{"day":"%s","n":%d}' % (day.encode(), each) for each in range(self._rng.randint(1, 3))]
            batch.sorting.keep(group, lines)
            reasons = batch.sorting.counts.setdefault(group.disposition, {})
            reasons["test"] = reasons.get("test", 0) + len(lines)
            records += len(lines)
        batch.sorting.last = (head.next + records - 1, b"last")
        batch.extend(head.next + records, records, uptime=0.0, oldest=0)
        flusher = Flusher(
            data=self.buckets.data,
            ledger=self.buckets.ledger,
            keys=self._keystore,
            packer=Packer(Compression.ZSTD, 1),
            writer=Writer("w", "t"),
            retry=RETRY,
            threads=self._threads,
            uploads=asyncio.Semaphore(16),
            now=lambda: self.now,
        )
        commit = await flusher.flush(head.chain, batch, done(head))
        self._head = commit.head
        self.kept += await asyncio.gather(*(self._copied(stored) for stored in commit.entry.objects))

    async def _copied(self, stored: StoredObject) -> Kept:
        """To the replica, and into a careless reader's pocket. Some are deleted and written again."""
        got = await self.buckets.data.get(stored.key)
        await self.buckets.replica.put(stored.key, got.body, metadata=got.metadata)
        if self._rng.random() < 0.1:
            await self.buckets.replica.delete([stored.key])  # in a bucket with versions: a marker
            await self.buckets.replica.put(stored.key, got.body, metadata=got.metadata)
        return Kept(stored, got.body, dict(got.metadata))


def unit_of(stored: StoredObject) -> Unit:
    return Unit(
        stored.workspace,
        stored.source,
        stored.day,
        clock_of(stored.workspace, stored.source, stored.disposition),
    )
