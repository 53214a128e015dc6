"""Unit chains: what later happened to what is stored of a (workspace, source, day, clock).

Writing: outputs first, then `append` at the next seq of the head that the plan was made from. Whoever is
Taken plans again from the head that it is given: so a record is consumed at most once, whoever else tries.
"""

import re
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import NamedTuple

from workers.by import By
from workers.errors import Fatal, Poison, StrongroomError
from workers.intake.dispositions import Clock
from workers.ledger import chain, line_ranges
from workers.ledger import unit_entries as entries
from workers.ledger.data_name import OutputName
from workers.ledger.entries import StoredObject, Writer, digest
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import UNITS, unit_entry, unit_prefix
from workers.ledger.unit_entries import Became, Consumed, Kind, UnitEntry
from workers.ledger.walk import listed
from workers.sealing.keys import Unit, checked_unit
from workers.store.port import Store
from workers.store.retry import Retry

PLACE = re.compile(
    r"units/v1/ws=([^/]+)/src=([^/]+)/day=([^/]+)/clock=([a-z]+)/(\d{8})\.json\Z",
    re.ASCII,
)


class UnitHead(NamedTuple):
    """A chain as far as it was read; nothing was there yet where `seq` is 0."""

    unit: Unit
    seq: int
    digest: str | None  # of the newest entry's bytes
    entries: tuple[UnitEntry, ...]


class UnitPlace(NamedTuple):
    unit: Unit
    seq: int


class Draft(NamedTuple):
    """An entry but for its place. `attempt`: 16 random hex digits, a fresh one each time that outputs are
    named; `by.why` is the entry's reason."""

    kind: Kind
    attempt: str
    writer: Writer
    by: By
    policy: Mapping[str, tuple[int, ...]]
    consumed: tuple[Consumed, ...]
    counts: Mapping[Became, Mapping[str, int]]
    outputs: tuple[StoredObject, ...] = ()


class Taken(StrongroomError):
    """Another writer's entry has our place. What it consumed is gone: plan again from `head`."""

    def __init__(self, head: UnitHead, key: str) -> None:
        super().__init__(f"{key} was written by somebody else", remedy="Plan again from what stands now")
        self.head = head


def unit_place(key: str) -> UnitPlace | None:
    """None for a key that no unit chain would have written."""
    match = PLACE.match(key)
    if match is None:
        return None
    workspace, source, day, clock, seq = match.groups()
    try:
        unit = checked_unit(Unit(workspace, source, day, Clock(clock)))
    except (Poison, ValueError):
        return None
    return UnitPlace(unit, int(seq)) if int(seq) and key == unit_entry(unit, int(seq)) else None


async def units_with_chains(store: Store, retry: Retry, prefix: str = UNITS) -> AsyncIterator[UnitPlace]:
    """Every unit that has a chain, with its newest seq, in the order of names.

    Requests: one list each thousand entries. Names that no chain has are passed over.
    """
    before: UnitPlace | None = None
    async for stat in listed(store, prefix, retry):
        found = unit_place(stat.key)
        if found is None:
            continue
        if before is not None and before.unit != found.unit:
            yield before
        before = found
    if before is not None:
        yield before


async def head(store: Store, unit: Unit, retry: Retry, since: UnitHead | None = None) -> UnitHead:
    """The whole chain. Raises Fatal, naming the entry, where it is broken.

    `since`: as it was read before; then only what is behind is read, and put behind its entries.
    Requests: one list a thousand entries, and one an entry, of those that are read. Memory: the entries.
    """
    return await _follow(store, since or UnitHead(checked_unit(unit), 0, None, ()), retry)


async def newest(store: Store, unit: Unit, retry: Retry, since: int = 0) -> int:
    """The newest seq, at least `since`; 0 for none. Requests: one list a thousand entries behind `since`."""
    async for stat in listed(store, unit_prefix(unit), retry, after=unit_entry(unit, since)):
        place = unit_place(stat.key)
        since = since if place is None else place.seq
    return since


async def listed_output(store: Store, name: OutputName, retry: Retry) -> StoredObject | None:
    """What the one entry that could list an output says of it; None if it does not, or is not there.

    Raises Fatal for an entry that can't be read.
    """
    body = await chain.read(store, unit_entry(name.consumer, name.seq), retry)
    if body is None:
        return None
    outputs = entries.decode(body, name.consumer, name.seq).outputs
    return next((stored for stored in outputs if stored.key == name.key), None)


async def append(store: Store, at: UnitHead, draft: Draft, retry: Retry) -> UnitHead:
    """Commits the draft behind `at`, the head that it was planned from, and returns the new head.

    Raises Taken where somebody else was faster: nothing was consumed, and the draft's outputs are orphans.
    Raises Fatal for a draft that contradicts itself or consumes again what an entry of `at` has, and for a
    broken chain. After a Retryable (`retry` has given up) the entry may be there or may still come: read the
    head again.
    """
    entry = _entry(at, draft)
    check(at, entry)
    body = entries.encode(entry)
    stored = await chain.append(store, entry.key, body, ours=body.__eq__, retry=retry)
    after = _after(at, stored.body)
    if stored.won:
        return after
    raise Taken(await _follow(store, after, retry), entry.key)


def check(at: UnitHead, entry: UnitEntry) -> None:
    """Raises Fatal for an entry that an auditor would find wrong behind `at`."""
    wrong = [*entries.malformed(entry), *entries.miscounts(entry), *again(at, entry)]
    wrong += [f"{key}: {why}" for key, why in entries.misplaced(entry)]
    if wrong:
        raise Fatal(
            f"{entry.key} would be wrong: {'; '.join(wrong[:5])}",
            remedy="Nothing was committed. This is a defect of the program: report it",
        )


def again(at: UnitHead, entry: UnitEntry) -> list[str]:
    """Which records entries of `at` have consumed before, in words."""
    # an entry may have as many behind it as its unit has thousands of objects
    gone = consumed_lines(at.entries, only=frozenset(each.key for each in entry.consumed))
    return [
        f"records of {each.key} were consumed before"
        for each in entry.consumed
        if each.count and each.key in gone and _overlap(gone[each.key], each.records)
    ]


def consumed_lines(
    consuming: Iterable[UnitEntry], only: frozenset[str] | None = None
) -> dict[str, Ranges | None]:
    """By object, the lines that entries of one chain, in order, consumed; None where that is all of it."""
    gone: dict[str, Ranges | None] = {}
    for entry in consuming:
        for each in entry.consumed:
            if only is not None and each.key not in only:
                continue
            before = gone.get(each.key, ())
            whole = before is None or each.records is None
            gone[each.key] = None if whole else line_ranges.union(before or (), each.records or ())
    return gone


def _overlap(gone: Ranges | None, lines: Ranges | None) -> bool:
    """Of what is gone with what goes now; None is all, and what is left of it."""
    return gone is None or (lines is not None and bool(line_ranges.common(gone, lines)))


def _entry(at: UnitHead, draft: Draft) -> UnitEntry:
    return UnitEntry(
        kind=draft.kind,
        **at.unit._asdict(),
        seq=at.seq + 1,
        previous=at.digest,
        attempt=draft.attempt,
        writer=draft.writer,
        committed_at=draft.by.now,
        actor=draft.by.who,
        host=draft.by.host,
        reason=draft.by.why,
        policy=dict(draft.policy),
        consumed=draft.consumed,
        counts={became: dict(reasons) for became, reasons in draft.counts.items()},
        outputs=draft.outputs,
    )


async def _follow(store: Store, at: UnitHead, retry: Retry) -> UnitHead:
    """To the end of the chain."""
    behind = listed(store, unit_prefix(at.unit), retry, after=unit_entry(at.unit, at.seq))
    places = [place async for stat in behind if (place := unit_place(stat.key)) is not None]
    seq, newest_digest, found = at.seq, at.digest, list(at.entries)
    for place in places:
        due = unit_entry(at.unit, seq + 1)
        body = await chain.read(store, due, retry)
        if body is None:
            raise entries.broken(due, f"it is not there, and entry {place.seq} is")
        found.append(_following(at.unit, seq, newest_digest, body))
        seq, newest_digest = seq + 1, digest(body)
    return UnitHead(at.unit, seq, newest_digest, tuple(found))


def _after(at: UnitHead, body: bytes) -> UnitHead:
    """The head behind one more entry, which must follow `at`."""
    entry = _following(at.unit, at.seq, at.digest, body)
    return UnitHead(at.unit, entry.seq, digest(body), (*at.entries, entry))


def _following(unit: Unit, seq: int, before: str | None, body: bytes) -> UnitEntry:
    """The entry in `body`, if it is the one behind `seq`, whose digest is `before`. Raises Fatal."""
    entry = entries.decode(body, unit, seq + 1)
    if entry.previous != before:
        raise entries.broken(entry.key, "it does not name the one before it by its digest")
    return entry
