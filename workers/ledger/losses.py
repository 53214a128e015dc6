"""Finds what a halted partition has lost, and what its closing will say (docs/architecture.md, Losses).

Nothing is written here. What was found is shown to a person first; acknowledge.py puts it on record.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

from workers.ledger import entries, halts
from workers.ledger.assign import PartitionLog, check_log, gap_filled
from workers.ledger.chain import read
from workers.ledger.entries import FIRST_INCARNATION, Anchor, AsFound, Genesis, Opens
from workers.ledger.halts import ACKNOWLEDGED, Halted
from workers.ledger.head import Head, Hint, after_entry, closed_head, head_behind
from workers.ledger.names import ChainId
from workers.ledger.remains import Remains, remains
from workers.ledger.succession import LogId, Recreated, current, incarnations, newest_of
from workers.ledger.walk import listed
from workers.store.port import Store
from workers.store.retry import Retry

# causes of which nobody can know how much the log held that is nowhere now
UNCOUNTED = (halts.ANCHOR_DIFFERS, halts.HEAD_ABOVE_LOG_END, halts.TOPIC_RECREATED)


class Log(PartitionLog, Protocol):
    async def first_record(self, start: int, end: int) -> int | None:
        """Offset of the first record in [start, end), as a worker is given them; None for gaps alone."""


class Loss(NamedTuple):
    """What would be put on record. Two looks at one loss are equal but for `log`, which may grow."""

    cause: str
    words: str  # the halt's own
    chain: ChainId  # the one to close
    head: int  # up to here its entries count
    place: int  # of the closing
    previous: str
    broken: tuple[AsFound, ...]
    lost: int | None  # None where nobody can know
    repeats: int | None
    opens: Opens
    log: tuple[int, int]


async def find_loss(store: Store, log_id: LogId, log: Log, hint: Hint | None, retry: Retry) -> Loss | None:
    """None where the partition goes on. Raises Halted for a halt that no closing ends.

    `hint` is the group's: the claim of a worker goes by it too. A chain that was closed, and whose next one
    is not opened yet, is finished on the way.
    """
    start, end = await log.bounds()
    try:
        head = await current(store, log_id, hint, retry)
        halted = None if head is None else await _log_halt(head, start, end, log)
    except Recreated as recreated:
        return await _recreated(store, log_id, recreated, (start, end), retry)
    except Halted as broken:
        if broken.cause not in ACKNOWLEDGED:
            raise
        known = await incarnations(store, log_id.topic, retry)
        chain = await newest_of(store, log_id, known, retry) or log_id.chain(FIRST_INCARNATION)
        return await _own(store, broken, await remains(store, chain, hint, start, retry), log, retry)
    if head is None or halted is None:
        return None
    try:
        return await _own(store, halted, _sound(head), log, retry)
    except Halted:  # it is broken where a claim does not look
        return await _own(store, halted, await remains(store, head.chain, hint, start, retry), log, retry)


async def _log_halt(head: Head, start: int, end: int, log: Log) -> Halted | None:
    """Why the log [start, end) does not carry on at `head`; None if it does."""
    try:
        await check_log(head, start, end, log)
    except Halted as halted:
        return halted
    anchor = head.anchor
    if anchor is None or anchor.offset < start:
        return None
    filled = await log.first_record(anchor.offset + 1, head.next)
    return None if filled is None else gap_filled(head, filled)


async def _own(store: Store, halted: Halted, found: Remains, log: Log, retry: Retry) -> Loss:
    """Of the log's own chain: the next incarnation goes on with what the log still has and nothing counts."""
    start, end = await log.bounds()
    chain, cause = found.chain, halted.cause
    head = Head(chain, None, found.head, found.previous, found.anchor)
    carries_on = cause not in UNCOUNTED and await _log_halt(head, start, end, log) is None
    same_until = found.head if carries_on else await _same_until(store, found, log, (start, end), retry)
    first = max(start, min([same_until, *(low for low, high in found.holes if high > start)]))
    known = found.begins is not None and (carries_on or cause == halts.LOG_START_ABOVE_HEAD)
    return Loss(
        cause=cause,
        words=halted.message,
        chain=chain,
        head=found.head,
        place=found.place,
        previous=found.previous,
        broken=found.broken,
        lost=_outside(found, first) if known else None,
        repeats=_counted(found, first, end),
        opens=Opens(chain.topic_id, chain.incarnation + 1, first),
        log=(start, end),
    )


async def _recreated(
    store: Store, log_id: LogId, halted: Recreated, bounds: tuple[int, int], retry: Retry
) -> Loss:
    """Of another topic's chain: the log that is there now goes on in its own chain, whole."""
    try:
        genesis = await read(store, halted.chain.genesis, retry)
        if genesis is None:
            raise entries.missing(halted.chain.genesis, "there is no genesis")
        found = _sound(await head_behind(store, halted.chain, genesis, None, retry))
    except Recreated:
        raise
    except Halted:
        found = await remains(store, halted.chain, None, 0, retry)
    return Loss(
        cause=halted.cause,
        words=halted.message,
        chain=halted.chain,
        head=found.head,
        place=found.place,
        previous=found.previous,
        broken=found.broken,
        lost=None,
        repeats=None,
        opens=await _opens(store, log_id, bounds[0], retry),
        log=bounds,
    )


async def _opens(store: Store, log_id: LogId, start: int, retry: Retry) -> Opens:
    """The chain that is open for this log; where there is none, the next one, at the log's start."""
    newest = await newest_of(store, log_id, await incarnations(store, log_id.topic, retry), retry)
    if newest is None:
        return Opens(log_id.topic_id, FIRST_INCARNATION, start)
    body = await read(store, newest.genesis, retry)
    if body is None or await closed_head(store, newest, retry) is not None:
        return Opens(newest.topic_id, newest.incarnation + 1, start)
    return Opens(newest.topic_id, newest.incarnation, entries.decode(Genesis, body, newest.genesis).first)


def _sound(head: Head) -> Remains:
    """Of a chain of which nothing is known to be broken: what lies before its head is not read."""
    return Remains(head.chain, (), head.next, head.next, head.next, head.digest, (), (), head.anchor)


async def _same_until(store: Store, found: Remains, log: Log, bounds: tuple[int, int], retry: Retry) -> int:
    """Behind the newest archived record that the log still holds; the log's start where it holds none.

    A log that was cut, and maybe grew again, is the same up to the cut and another from there on: so the
    anchors are the log's up to some entry, and none is behind it. Requests: the list, and 2·log2(entries).
    """
    start, end = bounds
    firsts = [slot.first for slot in found.kept] or await _firsts(store, found, retry)
    low, high = 0, len(firsts)  # the anchors before `low` are the log's, those from `high` on are not
    same = start
    while low < high:
        middle = (low + high) // 2
        anchor = await _anchor(store, found.chain, firsts[middle], retry)
        if anchor is not None and start <= anchor.offset:
            value = await log.record(anchor.offset) if anchor.offset < end else None
            if value is None or sha256(value).hexdigest() != anchor.sha256:
                high = middle
                continue
            same = max(same, anchor.offset + 1)
        low = middle + 1
    return same


async def _firsts(store: Store, found: Remains, retry: Retry) -> Sequence[int]:
    chain = found.chain
    firsts = [chain.slot(stat.key) async for stat in listed(store, chain.prefix, retry)]
    return [first for first in firsts if first is not None and first < found.head]


async def _anchor(store: Store, chain: ChainId, first: int, retry: Retry) -> Anchor | None:
    body = await read(store, chain.entry(first), retry)
    if body is None:
        raise entries.missing(chain.entry(first), "it was listed")
    return after_entry(chain, first, body)[0].anchor


def _outside(found: Remains, first: int) -> int:
    """Offsets before `first` that no entry counts."""
    holes = sum(min(high, first) - low for low, high in found.holes if low < first)
    return holes + max(0, first - found.head)


def _counted(found: Remains, first: int, end: int) -> int:
    """Offsets from `first` on that entries count, and the log, which ends at `end`, may still hold."""
    until = max(first, min(found.head, end))
    return (
        until
        - first
        - sum(min(high, until) - max(low, first) for low, high in found.holes if low < until and high > first)
    )
