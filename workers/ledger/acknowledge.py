"""Puts a loss on record: closes the chain, and opens the one that follows (docs/architecture.md, Losses)."""

import secrets
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from topics.audit import AuditRecord, codec
from workers.by import By
from workers.errors import Poison
from workers.intake.dispositions import PLATFORM
from workers.ledger import entries
from workers.ledger.chain import append, read
from workers.ledger.entries import After, Closing, Genesis
from workers.ledger.head import Head, closed_head
from workers.ledger.losses import Loss
from workers.ledger.names import ChainId
from workers.ledger.succession import LogId, incarnations, newest_of, open_behind
from workers.store.port import Store
from workers.store.retry import Retry

AUDITED_BROKEN = 1000  # names of broken entries in an audit record, which has an end; the ledger has all


class Changed(Poison):
    """What was to be put on record is not what there is any more."""


class Recorded(NamedTuple):
    closing: Closing
    key: str  # its name in the bucket
    ours: bool  # False where another operator's holds the place


async def acknowledge(
    store: Store,
    look: Callable[[], Awaitable[Loss | None]],
    expected: Loss,
    by: By,
    version: str,
    retry: Retry,
) -> Recorded:
    """Closes the chain of `expected` if a second `look` finds the same, and opens the next.

    `version` is the program's. Raises Changed, with nothing written, where the partition goes on meanwhile or
    has lost something else; Poison for a reason that is too long to be told. A crash between the two writes
    is made good by whoever claims the partition.
    """
    found = await look()
    if found is None or found._replace(log=expected.log, words=expected.words) != expected:
        now = "the partition goes on" if found is None else f"it is {found.cause} at {found.place} now"
        raise _changed(expected, now)
    closing = _closing(found, by, version)
    codec.checked(audit_record(closing))  # what the audit topic would not take is not begun
    key, body = found.chain.entry(closing.first), entries.encode(closing)
    stored = await append(store, key, body, ours=lambda winner: winner == body, retry=retry)
    winner = entries.decode_slot(stored.body, key)
    if not isinstance(winner, Closing):
        raise _changed(expected, "a worker has written an entry")
    closed = Head(found.chain, winner.first, winner.first, entries.digest(stored.body), None, winner)
    await open_behind(store, closed, retry)
    return Recorded(winner, key, stored.won)


async def last_recorded(store: Store, log_id: LogId, retry: Retry) -> Recorded | None:
    """The closing that opened the chain which this log is archived in now; None for a first chain."""
    chain = await newest_of(store, log_id, await incarnations(store, log_id.topic, retry), retry)
    body = None if chain is None else await read(store, chain.genesis, retry)
    if chain is None or body is None:
        return None
    after = entries.decode(Genesis, body, chain.genesis).after
    if not isinstance(after, After):
        return None
    before = ChainId(chain.topic, after.topic_id, after.incarnation, chain.partition)
    closed = await closed_head(store, before, retry)
    if closed is None or closed.closing is None:
        raise entries.missing(before.prefix, f"{chain.genesis} says that it was closed")
    return Recorded(closed.closing, before.entry(closed.closing.first), ours=False)


def audit_record(closing: Closing) -> AuditRecord:
    """A copy for the audit topic: the closing is the proof. The same closing gives the same record."""
    chain = f"{closing.topic_id}.{closing.incarnation}/{closing.partition}/{closing.first}"
    told = msgspec.structs.replace(closing, broken=closing.broken[:AUDITED_BROKEN])
    return AuditRecord(
        id=f"ledger/{chain}",
        workspace=PLATFORM,
        who=closing.actor,
        host=closing.host,
        at=closing.committed_at,
        why=closing.reason,
        action="ledger.acknowledged",
        subject=f"{closing.topic}[{closing.partition}]",
        after=msgspec.Raw(entries.encode(told)),
    )


def _closing(loss: Loss, by: By, version: str) -> Closing:
    chain = loss.chain
    return Closing(
        topic=chain.topic,
        topic_id=chain.topic_id,
        incarnation=chain.incarnation,
        partition=chain.partition,
        first=loss.place,
        head=loss.head,
        previous=loss.previous,
        cause=loss.cause,
        reason=by.why,
        actor=by.who,
        host=by.host,
        version=version,
        attempt=secrets.token_hex(8),
        committed_at=by.now,
        log=loss.log,
        lost=loss.lost,
        repeats=loss.repeats,
        broken=loss.broken,
        opens=loss.opens,
    )


def _changed(loss: Loss, how: str) -> Changed:
    return Changed(
        f"{loss.chain.topic}[{loss.chain.partition}] changed meanwhile: {how}. Nothing was put on record",
        remedy="Look again: run the command once more",
    )
