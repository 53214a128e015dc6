"""A fleet in memory whose days can be disposed of: versioned buckets, real keys, a clock, dying workers."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from tests.contract.keystore.world import ROOT, Uptime
from tests.unit.ledger.world import MemoryLog, done, log_id, retry
from tests.unit.retention.making import HOUR, NOW
from topics.workspaces import Workspace
from workers.intake.batch import Batch
from workers.intake.dispositions import Disposition, Group, clock_of
from workers.ledger.assign import claim
from workers.ledger.entries import Entry, StoredObject, Writer
from workers.ledger.flush import Flusher, Uploads
from workers.ledger.head import Head
from workers.ledger.pack import Compression, Packer
from workers.retention import certificate, pending
from workers.retention.certificate import Certificate
from workers.retention.dispose import Advanced, Disposer, Outcome, Terms
from workers.retention.due import PolicyView, Unusable, Verdict, judge
from workers.retention.index import UnitIndex
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.replicas import Replicas
from workers.sealing.roots import Roots
from workers.store.memory import MemoryStore

DESTROY_AFTER = 24 * HOUR
SHRED_LATENCY = 300_000
LAST = (Outcome.DONE, Outcome.NOTHING, Outcome.KEPT, Outcome.RECALLED, Outcome.STUCK)


class Killed(BaseException):
    """As kill -9: nothing of the worker runs any more, not even what cleans up."""


def group(unit: Unit, disposition: Disposition = Disposition.ACCEPTED) -> Group:
    return Group(
        unit.workspace, unit.source, unit.day, disposition, clock_of(unit.workspace, unit.source, disposition)
    )


@dataclass
class World:
    """`kill_at`: the worker under test dies at that request, counted from 0, before or behind its effect."""

    policy: dict[str, Workspace] = field(default_factory=dict)
    now: int = NOW
    kill_at: int | None = None
    turns: int = 0

    def __post_init__(self) -> None:
        self.ledger = self.bucket("ledger")
        self.data = self.bucket("data")
        self.replica = self.bucket("replica")
        self.keys = self.bucket("keys")
        self.uptime = Uptime()
        self.unusable: Unusable | None = None
        self.log = MemoryLog()
        self.head: Head | None = None
        self.entries: list[Entry] = []
        self.told: list[Certificate] = []

    def bucket(self, name: str) -> MemoryStore:
        return MemoryStore(name, versioned=True, now=lambda: self.now, turn=self.turn)

    async def turn(self) -> None:
        await asyncio.sleep(0)
        if self.kill_at is not None:
            if self.turns == self.kill_at:
                raise Killed
            self.turns += 1

    def keystore(self) -> Keystore:
        return Keystore([self.keys], Roots([ROOT]), life=300.0, clock=self.uptime, now=lambda: self.now)

    async def commit(self, lines: Mapping[Group, Sequence[bytes]], keys: Keystore | None = None) -> Entry:
        """One batch in the ledger, its objects in both buckets."""
        if self.head is None:
            self.head = await claim(
                self.ledger, log_id(), self.log, hint=None, writer=Writer("w", "t"), now=1, retry=retry()
            )
        entry = await self.flushed(self.head, lines, keys or self.keystore())
        self.entries.append(entry)
        for stored in entry.objects:
            got = await self.data.get(stored.key)
            await self.replica.put(stored.key, got.body, metadata=got.metadata)
        return entry

    async def flushed(self, head: Head, lines: Mapping[Group, Sequence[bytes]], keys: Keystore) -> Entry:
        batch = Batch(head.next)
        records = 0
        for into, each in lines.items():
            batch.sorting.keep({into: each})
            reasons = batch.sorting.counts.setdefault(into.disposition, {})
            reasons["accepted"] = reasons.get("accepted", 0) + len(each)
            records += len(each)
        batch.sorting.last = (head.next + records - 1, b"last")
        batch.extend(head.next + records, records, uptime=0.0, oldest=0)
        flusher = Flusher(
            data=self.data,
            ledger=self.ledger,
            keys=keys,
            packer=Packer(Compression.ZSTD, 1),
            writer=Writer("w", "t"),
            retry=retry(),
            threads=ThreadPoolExecutor(1),
            uploads=Uploads(4),
            now=lambda: self.now,
        )
        commit = await flusher.flush(head.chain, batch, done(head))
        self.head = commit.head
        return commit.entry

    # -- the worker --------------------------------------------------------------------------------------

    def view(self) -> PolicyView:
        return PolicyView(self.policy, unusable=self.unusable)

    async def verdict(self, unit: Unit) -> Verdict:
        return judge(unit, self.view(), self.now)

    def disposer(self, name: str = "retain-0", buckets: Sequence[MemoryStore] = ()) -> Disposer:
        index = UnitIndex(self.ledger, retry(), lambda: self.now)

        async def fresh(since: int) -> None:
            await index.advance()

        async def told(issued: Certificate) -> None:
            self.told.append(issued)
            await self.turn()

        return Disposer(
            self.ledger,
            buckets or [self.data, self.replica],
            Replicas([self.keys], requests=8),
            _Fresh(index),
            self.verdict,
            Terms(DESTROY_AFTER, SHRED_LATENCY),
            Writer(name, "test"),
            "host",
            retry(),
            lambda: self.now,
            fresh,
            told,
        )

    async def dispose(self, unit: Unit, disposer: Disposer | None = None) -> list[Advanced]:
        """Calls again, and at the time that each call asks for, until it asks for none."""
        disposer = disposer or self.disposer()
        found: list[Advanced] = []
        while not found or found[-1].outcome not in LAST:
            found.append(await disposer.advance(unit))
            assert len(found) < 20, [each.outcome for each in found]
            if found[-1].until is not None:
                self.now = max(self.now, found[-1].until)
        return found

    # -- what became of it -------------------------------------------------------------------------------

    async def contents(self, store: MemoryStore, prefix: str = "data/") -> list[tuple[str, str, bool]]:
        return [
            (version.key, version.version_id, version.delete_marker)
            async for version in store.versions(prefix)
        ]

    async def certificates(self, unit: Unit) -> list[Certificate]:
        return await certificate.of(self.ledger, unit, retry())

    async def pending(self, unit: Unit) -> pending.Step | None:
        stood = await pending.read(self.ledger, unit, retry())
        return None if stood is None else stood.pending.step

    def objects(self, unit: Unit) -> list[StoredObject]:
        return [
            stored
            for entry in self.entries
            for stored in entry.objects
            if (stored.workspace, stored.source, stored.day, stored.clock) == unit
        ]

    async def opens(self, stored: StoredObject, body: bytes, metadata: Mapping[str, str]) -> bytes:
        """By a second reader, who has kept the object and asks for its key now."""
        unit = Unit(
            stored.workspace,
            stored.source,
            stored.day,
            clock_of(stored.workspace, stored.source, stored.disposition),
        )
        key = await self.keystore().unit_key(unit, create=False)
        return key.open(body, metadata, stored.key)


class _Fresh:
    """An index that is brought up to date each time it is asked."""

    def __init__(self, index: UnitIndex) -> None:
        self._index = index

    async def objects(self, unit: Unit) -> list[StoredObject]:
        await self._index.advance()
        return await self._index.objects(unit)


def encoded(certificate: Certificate) -> bytes:
    return msgspec.json.encode(certificate)
