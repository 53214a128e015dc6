"""Releases and discards what was quarantined of a host, by the customer's word: each record once.

What is consumed is found by opening the quarantine's objects; a release sends the records to the source's
own unit first, sealed under that unit's key. One entry of the quarantine's chain then consumes them: whoever
comes second finds the place taken and looks again. So two releases, or one and a disposal, take no record
twice, and a crash anywhere leaves outputs that nobody lists, and nothing else (docs/format.md, Unit chains).
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from topics.workspaces import Workspace
from workers.by import By
from workers.errors import Fatal, Poison
from workers.intake import envelope
from workers.intake.dispositions import Clock, Disposition, Group
from workers.intake.facts import Page, exact_inputs, page_inputs
from workers.intake.kept import DAY, term_of
from workers.intake.key_states import Refused
from workers.intake.lines import Lines
from workers.ledger import line_ranges, live, unit_chain
from workers.ledger.flush import Flusher
from workers.ledger.intake_objects import IntakeObjects
from workers.ledger.live import Live, LiveObject
from workers.ledger.names import unit_output
from workers.ledger.read import Keys, open_object
from workers.ledger.unit_chain import Draft, Taken
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.sealing.keys import Unit

INPUT_BYTES = 64 * 1024 * 1024  # plain bytes of the objects that one entry consumes from; one object at least
EPOCH = date(1970, 1, 1).toordinal()


class Wanted(NamedTuple):
    """Which records: of these write keys, from this host, as verdicts are about it (workers.intake.facts)."""

    keys: frozenset[str]
    host: str

    def has(self, line: bytes) -> bool:
        found = _read(line)
        if found is None or found.write_key not in self.keys:
            return False
        return Page(exact_inputs(page_inputs(found), found)).host == self.host


class Found(NamedTuple):
    """Of one object: which of its lines are wanted, live or not."""

    numbers: tuple[int, ...]
    lines: tuple[bytes, ...]


class Chosen(NamedTuple):
    """What an entry consumes, and the lines in their order."""

    consumed: tuple[Consumed, ...]
    lines: list[bytes]


@dataclass
class Moved:
    """What was done in one unit."""

    records: int = 0
    entries: int = 0
    broken: dict[str, str] = field(default_factory=dict)  # object that can't be read → why


# The workspace as it stands now, by the policy chain; None if there is none.
Account = Callable[[], Awaitable[Workspace | None]]


class Quarantine:
    """One customer's quarantined records. `account` is asked before each entry.

    Memory: a batch's wanted lines in plain, packed and sealed form. Requests of a unit: one an object, and
    for an entry those of live.unit and a few more.
    """

    def __init__(
        self, keys: Keys, flusher: Flusher, account: Account, step: Callable[[], None] = lambda: None
    ) -> None:
        self._keys = keys
        self._flusher = flusher
        self._account = account
        self._step = step  # told of all that gets done

    async def count(self, unit: Unit, wanted: Wanted) -> Moved:
        """How many records of a unit are quarantined."""
        now, moved = await self._live(unit), Moved()
        for batch in _batches(now):
            found = await self._open(now, batch, wanted, moved)
            moved.records += len(_chosen(now, found).lines)
        return moved

    async def release(self, unit: Unit, wanted: Wanted, become: Disposition, by: By) -> Moved:
        """Moves them to their source's own unit as ACCEPTED or FLAGGED.

        Raises Refused where the day is past its retention, and KeyWithdrawn where its key is gone: nothing
        was committed then that is not in what was moved before.
        """
        group = Group(unit.workspace, unit.source, unit.day, become, Clock.MAIN)
        return await self._consume(unit, wanted, by, Kind.RELEASE, Became(become.value), group)

    async def discard(self, unit: Unit, wanted: Wanted, by: By) -> Moved:
        """Gives them up: they are live no more, and may be deleted. Raises Refused while there is a hold."""
        return await self._consume(unit, wanted, by, Kind.DISCARD, Became.DISCARDED, None)

    async def _consume(
        self, unit: Unit, wanted: Wanted, by: By, kind: Kind, became: Became, group: Group | None
    ) -> Moved:
        now, moved = await self._live(unit), Moved()
        for batch in list(_batches(now)):
            found = await self._open(now, batch, wanted, moved)
            while (chosen := _chosen(now, found)).consumed:
                refuse(kind, unit, await self._account(), self._flusher.now())
                records = len(chosen.lines)
                try:
                    await self._commit(now, chosen, by, kind, became, group)
                except Taken:
                    pass
                else:
                    moved.records += records
                    moved.entries += 1
                now = await self._live(unit)
                self._step()
        return moved

    async def _live(self, unit: Unit) -> Live:
        flusher = self._flusher
        objects = IntakeObjects(flusher.ledger, flusher.data, flusher.retry)
        there = [stored async for stored in objects.of(unit)]
        return await live.unit(flusher.ledger, unit, there, flusher.retry)

    async def _open(self, now: Live, batch: Sequence[str], wanted: Wanted, moved: Moved) -> dict[str, Found]:
        found = {}
        for name in batch:
            try:
                lines = await open_object(
                    self._flusher.data, self._keys, now.objects[name].stored, self._flusher.retry
                )
            except (Fatal, Poison) as error:
                moved.broken[name] = error.message
                continue
            found[name] = await asyncio.to_thread(_wanted, lines, wanted)
            self._step()
        return found

    async def _commit(
        self, now: Live, chosen: Chosen, by: By, kind: Kind, became: Became, group: Group | None
    ) -> None:
        """Sends the outputs, then the entry. Raises Taken, or KeyWithdrawn before anything is committed."""
        flusher, attempt, head = self._flusher, secrets.token_hex(8), now.head
        counts = {became: {"released" if group else "discarded": len(chosen.lines)}}

        def name(number: int, group: Group) -> str:
            return unit_output(group, head.unit, head.seq + 1, number, attempt, flusher.packer.suffix)

        uploads = await flusher.upload({group: Lines(chosen.lines)}, name) if group else []
        await flusher.check(uploads)
        draft = Draft(
            kind=kind,
            attempt=attempt,
            writer=flusher.writer,
            by=by,
            policy={},  # a person decided
            consumed=chosen.consumed,
            counts=counts,
            outputs=tuple(upload.stored for upload in uploads),
        )
        await unit_chain.append(flusher.ledger, head, draft, flusher.retry)


def refuse(kind: Kind, unit: Unit, account: Workspace | None, now: int) -> None:
    """Raises Refused for what the workspace's policy forbids of a unit; `now` in ms since the epoch."""
    if account is None:
        raise Refused(f"there is no workspace {unit.workspace}", remedy="`strongroom workspaces list`")
    if kind is Kind.DISCARD and account.legal_hold:
        raise Refused(
            f"workspace {unit.workspace} is under a legal hold: nothing of it is given up",
            remedy="Discard when the hold is over (`strongroom retention hold`); until then it is kept",
        )
    ends = (date.fromisoformat(unit.day).toordinal() - EPOCH + 1) * DAY
    if kind is Kind.RELEASE and ends <= term_of(account, unit.source).kept_since(now):
        raise Refused(
            f"{unit.day} of {unit.workspace}/{unit.source} is past its retention",
            remedy="What is quarantined of it is disposed of with it",
        )


def _read(line: bytes) -> envelope.Envelope | None:
    try:
        return envelope.decode(line)
    except envelope.REFUSED:
        pass
    try:
        return envelope.read(line)
    except envelope.Unreadable:
        return None


def _wanted(lines: Sequence[bytes], wanted: Wanted) -> Found:
    some = [(number, line) for number, line in enumerate(lines) if wanted.has(line)]
    return Found(tuple(number for number, _ in some), tuple(line for _, line in some))


def _chosen(now: Live, found: dict[str, Found]) -> Chosen:
    """Those that are live now."""
    consumed, lines = [], []
    for name, each in found.items():
        if name not in now.objects:
            continue
        left = line_ranges.common(line_ranges.of(each.numbers), now.objects[name].lines)
        if left:
            consumed.append(Consumed(name, left, line_ranges.count(left)))
            numbers = {number for first, last in left for number in range(first, last + 1)}
            lines += [
                line for number, line in zip(each.numbers, each.lines, strict=True) if number in numbers
            ]
    return Chosen(tuple(consumed), lines)


def _batches(now: Live) -> Iterator[list[str]]:
    """The live objects, as many at a time as INPUT_BYTES allows."""
    batch: list[str] = []
    size = 0
    objects: dict[str, LiveObject] = now.objects
    for name, each in objects.items():
        if batch and size + each.stored.plain_bytes > INPUT_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(name)
        size += each.stored.plain_bytes
    if batch:
        yield batch
