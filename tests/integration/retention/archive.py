"""An archive over many days: what customers change, what is committed, and what somebody keeps of it."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import NamedTuple

import msgspec

from tests.contract.keystore.world import ROOT
from tests.integration.retention import child
from tests.integration.retention.record import DAY, Lot, Record
from tests.integration.retention.wishes import Customer, What, Wish
from tests.unit.ledger.world import MemoryLog, done, log_id
from topics import workspaces
from topics.workspaces import Source, Workspace, WorkspaceState
from workers.by import By
from workers.intake.batch import Batch
from workers.intake.dispositions import (
    DEAD_LETTERS,
    PLATFORM,
    UNCLAIMED,
    Clock,
    Disposition,
    Group,
    clock_of,
)
from workers.ledger import policy_commands, workspace_terms
from workers.ledger.assign import claim
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import Head
from workers.ledger.pack import Compression, Packer
from workers.ledger.policy_commands import open_books
from workers.retention.holding import recall_kept
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.sealing.rows import unit_row
from workers.store.port import Store
from workers.store.retry import Retry

BEGUN = 1_795_651_200_000  # 2026-11-26T00:00:00Z
RETRY = Retry(attempts=20)


class Buckets(NamedTuple):
    ledger: Store
    data: Store
    replica: Store
    keys: Store


class Kept(NamedTuple):
    """What an attacker, or a careless reader, has a copy of. `sha256`: of the body as it was then."""

    stored: StoredObject
    body: bytes
    metadata: dict[str, str]
    sha256: str
    versions: tuple[int, int]  # in the data bucket, in the replica


class Place(NamedTuple):
    partition: int
    offset: int


class Spread:
    """Kafka's part: keeps the newest record of each workspace, and hands records to who follows."""

    def __init__(self) -> None:
        self.newest: dict[bytes | None, bytes] = {}
        self.follow: Callable[[child.Spread], None] = lambda record: None

    def known(self) -> list[child.Spread]:
        return [child.Spread(key, value) for key, value in self.newest.items()]

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place:
        if topic == workspaces.NAME:
            self.newest[key] = value
            self.follow(child.Spread(key, value))
        return Place(0, 0)


def name_of(number: int) -> str:
    """The UTC day of that number."""
    return datetime.fromtimestamp((BEGUN + number * DAY) / 1000, UTC).date().isoformat()


def lot_of(unit: Unit) -> Lot:
    """The unit, in the record's words."""
    ends = datetime.combine(date.fromisoformat(unit.day), datetime.min.time(), UTC).timestamp() * 1000 + DAY
    quarantined, platform = unit.clock is Clock.QUARANTINE, unit.workspace == PLATFORM
    return Lot(unit.workspace, unit.source, int(ends), quarantined, platform)


class Archive:
    """`now`: ms since the epoch, moved by whoever drives it."""

    def __init__(self, buckets: Buckets, customers: Sequence[Customer], rng: random.Random) -> None:
        self.buckets = buckets
        self.customers = customers
        self.now = BEGUN
        self.spread = Spread()
        self.record = Record()
        self.kept: dict[Unit, list[Kept]] = defaultdict(list)
        self.rows: dict[Unit, bytes] = {}  # the units' keys, wrapped, as they were when something was sealed
        self.wishes = 0
        self.recalled = 0
        self.too_late = 0
        self._rng = rng
        self._books = open_books(buckets.ledger, self.spread, prefix="", retry=RETRY)
        self._keystore = self.keystore()
        self._threads = ThreadPoolExecutor(2)
        self._head: Head | None = None

    def keystore(self) -> Keystore:
        return Keystore([self.buckets.keys], Roots([ROOT]), life=300.0, now=lambda: self.now)

    async def set_up(self) -> None:
        for each in self.customers:
            sources = tuple(Source(id=source) for source in each.sources)
            await self._set(
                each.name,
                lambda before, sources=sources: msgspec.structs.replace(  # type: ignore[misc] # bound early
                    before, plan="gold", sources=sources
                ),
            )

    @property
    def all_kept(self) -> list[Kept]:
        return [kept for objects in self.kept.values() for kept in objects]

    def wanted_on(self, number: int, *, racing: bool) -> list[tuple[Customer, Wish]]:
        return [
            (each, wish)
            for each in self.customers
            for wish in each.wishes
            if (wish.day, wish.racing) == (number, racing)
        ]

    async def grant(self, customer: Customer, wish: Wish) -> None:
        """As the commands do it: the chain, the topic, and what is under way is taken back.

        What was taken back can be read when it returns.
        """
        now = self.now
        self.record.wished(customer.name, wish, now)
        stands = await self._set(customer.name, lambda before: _granted(before, wish))
        recalled = await recall_kept(
            self.buckets.ledger, Replicas([self.buckets.keys], requests=16), stands, "test", RETRY, now
        )
        self.wishes += 1
        self.recalled += len(recalled.units)
        self.too_late += len(recalled.too_late)
        self.record.answered(
            customer.name,
            wish,
            {lot_of(unit) for unit in recalled.units},
            {lot_of(unit) for unit in recalled.too_late},
            now,
        )
        keys = self.keystore()
        for unit in recalled.units:
            for kept in self.kept[unit]:
                (await keys.unit_key(unit, create=False)).open(kept.body, kept.metadata, kept.stored.key)

    async def _set(self, name: str, edit: Callable[[Workspace], Workspace]) -> Workspace:
        return await policy_commands.set_workspace(
            self._books, name, edit, By("test", "host", "test", self.now)
        )

    async def commit_day(self, number: int) -> None:
        """One batch: an object of each customer that is open, some quarantined, some nobody's."""
        day = name_of(number)
        groups = [
            self._group(each.name, source, day, Disposition.ACCEPTED)
            for each in self.customers
            for source in each.sources
            if each.closed_on is None or number < each.closed_on
        ]
        names = sorted({group.workspace for group in groups})
        quarantined = self._rng.sample(names, len(names) // 6)
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
            batch.sorting.keep({group: lines})
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
            uploads=Uploads(16),
            now=lambda: self.now,
        )
        commit = await flusher.flush(head.chain, batch, done(head))
        self._head = commit.head
        for unit, kept in await asyncio.gather(*(self._copied(stored) for stored in commit.entry.objects)):
            self.kept[unit].append(kept)
        self.record.committed([lot_of(unit_of(stored)) for stored in commit.entry.objects])

    async def _copied(self, stored: StoredObject) -> tuple[Unit, Kept]:
        """To the replica, and into a careless reader's pocket. Some are deleted and written again."""
        again = self._rng.random() < 0.1
        got = await self.buckets.data.get(stored.key)
        await self.buckets.replica.put(stored.key, got.body, metadata=got.metadata)
        if again:
            await self.buckets.replica.delete([stored.key])  # in a bucket with versions: a marker
            await self.buckets.replica.put(stored.key, got.body, metadata=got.metadata)
        unit = unit_of(stored)
        self.rows[unit] = (await self.buckets.keys.get(unit_row(unit))).body
        kept = Kept(
            stored, got.body, dict(got.metadata), sha256(got.body).hexdigest(), (1, 3 if again else 1)
        )
        return unit, kept


def _granted(before: Workspace, wish: Wish) -> Workspace:
    if wish.what is What.SET:
        return workspace_terms.with_retention(before, wish.source, wish.days)
    if wish.what is What.CLOSE:
        return msgspec.structs.replace(before, state=WorkspaceState.CLOSED)
    return msgspec.structs.replace(before, legal_hold=wish.what is What.HOLD)


def unit_of(stored: StoredObject) -> Unit:
    return Unit(
        stored.workspace,
        stored.source,
        stored.day,
        clock_of(stored.workspace, stored.source, stored.disposition),
    )
