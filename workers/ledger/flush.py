"""Flushes a batch: objects first, then the entry that makes them count (docs/architecture.md, Flush)."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import NamedTuple, TypeVar

from workers.errors import Poison, Retryable, StrongroomError
from workers.intake.batch import Batch
from workers.intake.dispositions import Group
from workers.intake.lines import Lines
from workers.ledger import entries
from workers.ledger.chain import append
from workers.ledger.disposed_units import Keys, UnitSealer, disposed_among
from workers.ledger.entries import Anchor, Entry, StoredObject, Writer
from workers.ledger.halts import KEY_WITHDRAWN, Halted
from workers.ledger.head import Head, after_entry
from workers.ledger.names import ChainId
from workers.ledger.pack import Packer
from workers.ledger.upload import HANDFUL, Made, Planned, Upload, handfuls_of, unit_of, upload_of
from workers.sealing.keys import Unit
from workers.store.port import IF_ABSENT, NotFound, PreconditionFailed, Store, Unavailable
from workers.store.retry import Retry

T = TypeVar("T")

SEALING_THREADS = 2  # compression, encryption and digests run outside the GIL, beside the event loop


class Fenced(StrongroomError):
    """Another writer holds the place of our entry: drop the batch and read the head again."""


class KeyWithdrawn(Halted):
    """Records have come for a unit whose key was disabled or shredded: they can't be sealed, nor dropped."""

    def __init__(self, unit: Unit, error: Poison) -> None:
        self.unit = unit
        self.error = error
        super().__init__(
            KEY_WITHDRAWN,
            f"records wait for {unit.workspace}/{unit.source} of {unit.day} ({unit.clock}): {error.message}",
            remedy=error.remedy or "Let the workspace's retention reject records of that day",
        )


class UnitsDisposed(KeyWithdrawn):
    """Records have come for units that entries dispose of, and whose keys are gone: all of the batch's."""

    def __init__(self, units: frozenset[Unit], first: KeyWithdrawn) -> None:
        super().__init__(first.unit, first.error)
        self.units = units


class Commit(NamedTuple):
    """What a flush wrote, and the head behind it."""

    entry: Entry
    head: Head


class Uploads(asyncio.Semaphore):
    """Holds for a whole worker: `at_once` objects are sealed or sent at a time."""

    def __init__(self, at_once: int) -> None:
        super().__init__(at_once)
        self.at_once = at_once


@dataclass(frozen=True, slots=True)
class Flusher:
    """What every flush of a worker shares."""

    data: Store
    ledger: Store
    keys: Keys
    packer: Packer
    writer: Writer
    retry: Retry
    threads: Executor
    uploads: Uploads
    now: Callable[[], int]  # ms since the epoch
    uploaded: Callable[[], None] = lambda: None  # told of every object: a large flush is a long one

    async def flush(self, chain: ChainId, batch: Batch, previous: Callable[[], Awaitable[Head]]) -> Commit:
        """Uploads at once; commits once `previous`, the flush before it, has committed.

        Raises Fenced if another writer was first, UnitsDisposed or KeyWithdrawn for a unit whose key nobody
        may use any more, or whatever `previous` raised. Cancelling is always safe.
        """
        attempt = secrets.token_hex(8)
        uploads = await self._naming_disposed(batch, self._upload_all(chain, batch, attempt))
        head = await previous()
        await self._naming_disposed(batch, self.check(uploads))
        return await self._commit(head, batch, attempt, tuple(upload.stored for upload in uploads))

    async def _naming_disposed(self, batch: Batch, work: Awaitable[T]) -> T:
        try:
            return await work
        except KeyWithdrawn as error:
            units = await disposed_among(
                map(unit_of, batch.sorting.lines), self.keys, self.ledger, self.retry
            )
            if error.unit in units:
                raise UnitsDisposed(units, error) from None
            raise

    async def _upload_all(self, chain: ChainId, batch: Batch, attempt: str) -> list[Upload]:
        def name(number: int, group: Group) -> str:
            return chain.data(group, batch.first, batch.next, attempt, self.packer.suffix)

        return await self.upload(batch.sorting.lines, name)

    async def upload(self, groups: Mapping[Group, Lines], name: Callable[[int, Group], str]) -> list[Upload]:
        """An object of each group, in the order of groups, named by its number and group; empties the lines.

        Raises KeyWithdrawn where a group's unit has a key that nobody may use any more.
        """
        planned = (
            Planned(number, group, groups[group], name(number, group))
            for number, group in enumerate(sorted(groups))
        )
        handfuls = handfuls_of(planned, min(HANDFUL, len(groups) // self.uploads.at_once))
        done: dict[int, Upload] = {}

        async def work() -> None:
            for handful in handfuls:  # which all share
                await self._upload(handful, done)

        try:
            async with asyncio.TaskGroup() as tasks:
                # a task a group would take more memory than the records of a group that has few
                for _ in range(min(len(groups), self.uploads.at_once)):
                    tasks.create_task(work())
        except ExceptionGroup as failures:
            # one is enough to give the batch up; the rest were cancelled
            raise failures.exceptions[0] from None
        return [done[number] for number in range(len(groups))]

    async def check(self, uploads: Sequence[Upload]) -> None:
        """A key that was withdrawn while its objects were uploaded must not get another entry."""
        for _, unit, key in uploads:
            await self._check(unit, key)

    async def _upload(self, planned: Sequence[Planned], done: dict[int, Upload]) -> None:
        async with self.uploads:
            sealed = await self.retry.call(lambda: self._made(planned))
            for each, made in zip(planned, sealed, strict=True):
                records = len(each.lines)
                each.lines.clear()
                await self.retry.call(partial(self._put, each.key, made))
                done[each.number] = upload_of(each.group, each.key, records, made)
                self.uploaded()

    async def _made(self, planned: Sequence[Planned]) -> list[Made]:
        unit_keys = [await self._unit_key(unit_of(each.group)) for each in planned]

        def make() -> list[Made]:
            return [self._sealed(each, key) for each, key in zip(planned, unit_keys, strict=True)]

        return await asyncio.get_running_loop().run_in_executor(self.threads, make)

    def _sealed(self, planned: Planned, unit_key: UnitSealer) -> Made:
        plain = planned.lines.ndjson()
        sealed = unit_key.seal(self.packer.pack(plain), planned.key)
        return Made(len(plain), sealed, sha256(sealed.body).hexdigest(), unit_key)

    async def _check(self, unit: Unit, key: UnitSealer) -> None:
        try:
            key.check()
        except Retryable:
            await self._unit_key(unit)

    async def _unit_key(self, unit: Unit) -> UnitSealer:
        """Raises KeyWithdrawn for a unit whose key nobody may use any more."""
        try:
            return await self.retry.call(lambda: self.keys.unit_key(unit, create=True))
        except Poison as error:
            raise KeyWithdrawn(unit, error) from None

    async def _put(self, key: str, made: Made) -> None:
        sealed = made.sealed
        try:
            await self.data.put(
                key, sealed.body, condition=IF_ABSENT, metadata=sealed.metadata, digest=made.digest
            )
        except PreconditionFailed:
            # the name is ours alone (attempt): our own write, whose response was lost; x-amz-i proves it
            try:
                stored = await self.data.get(key, start=0, length=1)
            except NotFound:
                raise Unavailable(f"{self.data.name}/{key}: 412, then 404") from None
            if stored.metadata.get("x-amz-i") != sealed.metadata["x-amz-i"]:
                raise Fenced(f"{self.data.name}/{key} holds somebody else's object") from None

    async def _commit(
        self, head: Head, batch: Batch, attempt: str, objects: tuple[StoredObject, ...]
    ) -> Commit:
        if head.next != batch.first:
            raise Fenced(f"the ledger ends at {head.next}, the batch begins at {batch.first}")
        chain = head.chain
        entry = Entry(
            topic=chain.topic,
            topic_id=chain.topic_id,
            incarnation=chain.incarnation,
            partition=chain.partition,
            first=batch.first,
            next=batch.next,
            previous=head.digest,
            anchor=anchor_of(batch) or head.anchor,
            attempt=attempt,
            writer=self.writer,
            committed_at=self.now(),
            policy=batch.policy,
            counts=batch.sorting.counts,
            gaps=batch.gaps,
            objects=objects,
        )
        key, body = chain.entry(batch.first), entries.encode(entry)

        def ours(winner: bytes) -> bool:
            found = entries.decode_slot(winner, key)
            return isinstance(found, Entry) and found.attempt == attempt

        stored = await append(self.ledger, key, body, ours=ours, retry=self.retry)
        if not stored.won:
            raise Fenced(f"{self.ledger.name}/{key} was committed by another worker, or closes the chain")
        return Commit(*after_entry(chain, batch.first, stored.body))


def anchor_of(batch: Batch) -> Anchor | None:
    last = batch.sorting.last
    return None if last is None else Anchor(last[0], sha256(last[1]).hexdigest())
