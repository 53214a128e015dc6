"""Reads every object that an entry lists, and holds it against what the entry says of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from hashlib import sha256
from typing import NamedTuple, Protocol, TypeVar

from workers.errors import Fatal, Poison
from workers.intake.dispositions import Clock
from workers.ledger import verify_deep
from workers.ledger.chain import read
from workers.ledger.data_name import OutputName, parse_output
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.names import ChainId, unit_entry
from workers.ledger.unit_chain import listed_output
from workers.ledger.unit_entries import UnitEntry, why_misplaced
from workers.ledger.verify_deep import Letters, Owner
from workers.ledger.verify_entries import is_named_for, judged
from workers.ledger.verify_keys import KeyRows
from workers.ledger.verify_leaves import Leaves
from workers.ledger.verify_listing import Budget
from workers.ledger.verify_report import Kind, Report
from workers.ledger.verify_unlisted import data_place
from workers.sealing.format import Header, parse_header
from workers.sealing.keys import Level, Unit, context_of, generation_in
from workers.sealing.refusals import MalformedKey, Refused, WrongContext
from workers.store.port import Got, NotFound, Store
from workers.store.retry import Retry

T = TypeVar("T")

BYTES_AT_ONCE = 64 * 1024 * 1024  # of stored objects; opened, each takes as much again and a piece of lines


class UnitOpener(Protocol):
    def open(self, body: bytes, metadata: Mapping[str, str], object_key: str) -> bytes: ...


class Keys(Protocol):
    async def unit_key(self, unit: Unit, *, create: bool) -> UnitOpener: ...


class Deep(NamedTuple):
    """What it takes to open objects and tell whose records they hold."""

    keys: Keys
    owners: Mapping[str, Owner]  # write key → whose it is, by the policy chains


class Lister(NamedTuple):
    """An entry, of a ledger or a unit chain, as far as its objects go."""

    key: str
    objects: Sequence[StoredObject]
    misplaced: Callable[[StoredObject], str]  # why an object can't be this entry's; empty if it can
    offsets: range | None  # between which its dead letters lie, where it says so


def lister_of(chain: ChainId, entry: Entry) -> Lister:
    def misplaced(stored: StoredObject) -> str:
        return "" if is_named_for(chain, entry, stored) else "its name is not one that the entry gives"

    return Lister(chain.entry(entry.first), entry.objects, misplaced, range(entry.first, entry.next))


def lister_of_outputs(entry: UnitEntry) -> Lister:
    return Lister(entry.key, entry.outputs, lambda stored: why_misplaced(entry, stored), None)


class Objects:
    """`readers` objects are under way at once, of BYTES_AT_ONCE bytes in all, or one that is larger.

    `threads` do what takes the processor; without them it is done in the loop.
    """

    def __init__(
        self,
        ledger: Store,
        data: Store,
        retry: Retry,
        *,
        readers: int,
        rows: KeyRows | None,
        deep: Deep | None,
        threads: Executor | None,
    ) -> None:
        self._ledger, self._data, self._retry = ledger, data, retry
        self._rows, self._deep, self._threads = rows, deep, threads
        self._budget = Budget(places=readers, total=BYTES_AT_ONCE)
        self._leaves = Leaves(ledger, retry)

    async def check(self, chain: ChainId, entry: Entry) -> Report:
        """All objects of an entry."""
        letters = Letters()
        lister = lister_of(chain, entry)
        whole = await self._check(lister, letters)
        if self._deep and whole.opened == len(entry.objects) and whole.clean:
            verify_deep.check_reasons(lister.key, entry, letters, whole)
        return whole

    async def check_outputs(self, entry: UnitEntry) -> Report:
        """All outputs of a unit entry."""
        return await self._check(lister_of_outputs(entry), Letters())

    async def _check(self, lister: Lister, letters: Letters) -> Report:
        whole = Report()
        seen: set[str] = set()
        checks: list[asyncio.Task[Report]] = []
        async with asyncio.TaskGroup() as tasks:
            for stored in lister.objects:
                if stored.key in seen:
                    whole.found(Kind.LISTED_TWICE, stored.key, f"twice by {lister.key}")
                    continue
                seen.add(stored.key)
                checks.append(tasks.create_task(self._object(lister, stored, letters)))
        for check in checks:
            whole.add(check.result())
        return whole

    async def _object(self, lister: Lister, stored: StoredObject, letters: Letters) -> Report:
        report = Report()
        misplaced = lister.misplaced(stored)
        named = not misplaced
        if misplaced:
            other = await self._other_lister(stored.key, lister.key)
            if other is not None:
                report.found(Kind.LISTED_TWICE, stored.key, f"by {other}, and by {lister.key}")
                return report
            report.found(Kind.MISPLACED_OBJECT, stored.key, f"{lister.key} lists it: {misplaced}")
        async with self._budget.of(stored.stored_bytes):
            got = await self._fetched(stored)
            if got is None:
                if named and await self._leaves.for_absence(stored):
                    report.gone += 1
                else:
                    report.found(Kind.MISSING_OBJECT, stored.key, f"listed by {lister.key}")
                return report
            report.objects += 1
            report.stored_bytes += got.size
            report.plain_bytes += stored.plain_bytes
            good = await self._run(lambda: is_as_archived(stored, got, report, seal=named)) and named
            if good and await self._key_is_there(stored, report) and self._deep is not None:
                await self._recount(self._deep, lister.offsets, stored, got, letters, report)
        return report

    async def _recount(
        self,
        deep: Deep,
        offsets: range | None,
        stored: StoredObject,
        got: Got,
        letters: Letters,
        report: Report,
    ) -> None:
        async def opened() -> bytes:
            key = await deep.keys.unit_key(unit_of(stored), create=False)
            return await self._run(lambda: key.open(got.body, got.metadata, stored.key))

        try:
            packed = await self._retry.call(opened)
        except Refused as error:
            report.found(Kind.DOES_NOT_OPEN, stored.key, error.message)
            return
        except (Fatal, Poison) as error:
            report.found(Kind.BROKEN_KEY, stored.key, error.message)
            return
        report.add(
            await self._run(lambda: verify_deep.recount(stored, packed, deep.owners, letters, offsets))
        )

    async def _key_is_there(self, stored: StoredObject, report: Report) -> bool:
        if self._rows is None:
            return True
        state = await self._rows.of(unit_of(stored))
        report.withdrawn += state.withdrawn
        if state.wrong is not None:
            report.found(state.wrong, stored.key, state.detail)
        elif not state.withdrawn and state.generation != stored.key_generation:
            report.found(
                Kind.WRONG_GENERATION,
                stored.key,
                f"its unit's row is of generation {state.generation}, its entry says {stored.key_generation}",
            )
        return state.wrong is None and not state.withdrawn

    async def _fetched(self, stored: StoredObject) -> Got | None:
        """The object, but no more of it than was archived and a byte."""

        async def attempt() -> Got | None:
            try:
                return await self._data.get(stored.key, start=0, length=max(stored.stored_bytes, 0) + 1)
            except NotFound:
                return None

        return await self._retry.call(attempt)

    async def _other_lister(self, key: str, entry_key: str) -> str | None:
        """The entry by which the object is named, if that is another one and lists it."""
        output = parse_output(key)
        if output is not None:
            return await self._other_unit_entry(output, entry_key)
        parsed = data_place(key)
        if parsed is None or parsed.chain.entry(parsed.first) == entry_key:
            return None
        other = parsed.chain.entry(parsed.first)
        body = await read(self._ledger, other, self._retry)
        if body is None:
            return None
        document = judged(parsed.chain, parsed.first, body, Report()).document
        listed = isinstance(document, Entry) and any(stored.key == key for stored in document.objects)
        return other if listed else None

    async def _other_unit_entry(self, output: OutputName, entry_key: str) -> str | None:
        other = unit_entry(output.consumer, output.seq)
        if other == entry_key:
            return None
        try:
            listed = await listed_output(self._ledger, output, self._retry)
        except Fatal:
            return None
        return None if listed is None else other

    async def _run(self, work: Callable[[], T]) -> T:
        if self._threads is None:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def unit_of(stored: StoredObject) -> Unit:
    return Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))


def is_as_archived(stored: StoredObject, got: Got, report: Report, *, seal: bool) -> bool:
    """Whether these are the bytes that the entry says, sealed for their place: nothing of it needs a key."""
    header = _header(stored, got, report) if seal else None
    if seal and header is None:
        return False
    if got.size != stored.stored_bytes:
        report.found(
            Kind.OBJECT_SIZE, stored.key, f"it has {got.size} bytes, its entry says {stored.stored_bytes}"
        )
        return False
    if sha256(got.body).hexdigest() != stored.sha256:
        report.found(Kind.OBJECT_DIGEST, stored.key, "its bytes are not those that were archived")
        return False
    if header is not None:
        try:
            generation = generation_in(header.wrapped, Level.DATA)
        except MalformedKey as error:
            report.found(Kind.NO_SEAL, stored.key, error.message)
            return False
        if generation != stored.key_generation:
            report.found(
                Kind.WRONG_GENERATION,
                stored.key,
                f"its data key is under generation {generation}, its entry says {stored.key_generation}",
            )
            return False
    return True


def _header(stored: StoredObject, got: Got, report: Report) -> Header | None:
    """The context under which it was sealed is in clear: it must be what the entry says."""
    try:
        header = parse_header(got.metadata)
        header.require(context_of(unit_of(stored), stored.key))
    except WrongContext:
        whose = {name: header.context.get(name, "") for name in ("object", "workspace", "source", "day")}
        report.found(Kind.FOREIGN_SEAL, stored.key, f"it was sealed as {whose}")
        return None
    except Poison as error:
        report.found(Kind.NO_SEAL, stored.key, error.message)
        return None
    return header
