"""Claims a partition: which chain it continues, where, and whether the log is still the same log.

Kafka's group offset is a hint that may be deleted, reset or wrong; the ledger decides. A log that does not
carry on where the ledger ends (cut, re-created, swapped) halts its partition: nothing is guessed.
"""

import secrets
from hashlib import sha256
from typing import NamedTuple, Protocol

from workers.errors import Fatal
from workers.ledger import entries
from workers.ledger.chain import append, read
from workers.ledger.entries import FIRST_INCARNATION, Genesis, Writer
from workers.ledger.head import Head, Hint, after_genesis, read_head
from workers.ledger.names import ChainId
from workers.store.port import Store
from workers.store.retry import Retry


class Halted(Fatal):
    """One partition can't go on; the others do. `cause` is the metric label."""

    def __init__(self, cause: str, message: str, *, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.cause = cause


class PartitionLog(Protocol):
    """What the claim asks of Kafka about one partition."""

    async def bounds(self) -> tuple[int, int]:
        """First offset that the log holds, and the one after its last."""

    async def record(self, offset: int) -> bytes | None:
        """The value of the record at exactly `offset`, None where there is none."""


class LogId(NamedTuple):
    topic: str
    topic_id: str
    partition: int


async def claim(
    store: Store,
    log_id: LogId,
    log: PartitionLog,
    *,
    hint: Hint | None,
    writer: Writer,
    now: int,
    retry: Retry,
) -> Head:
    """The head to go on from; opens the chain where there is none.

    Raises Halted, or Fatal for a broken chain.
    """
    chain = await current_chain(store, log_id, retry)
    head = await read_head(store, chain, hint, retry)
    start, end = await log.bounds()
    if head is None:
        head = await _open(store, chain, start, writer, now, retry)
    await check_log(head, start, end, log)
    return head


async def current_chain(store: Store, log_id: LogId, retry: Retry) -> ChainId:
    """The newest incarnation: a new one is opened only by acknowledging a loss, so there are few."""
    newest = ChainId(log_id.topic, log_id.topic_id, FIRST_INCARNATION, log_id.partition)
    while True:
        following = newest._replace(incarnation=newest.incarnation + 1)
        if await read(store, following.genesis, retry) is None:
            return newest
        newest = following


async def _open(store: Store, chain: ChainId, start: int, writer: Writer, now: int, retry: Retry) -> Head:
    genesis = Genesis(
        topic=chain.topic,
        topic_id=chain.topic_id,
        incarnation=chain.incarnation,
        partition=chain.partition,
        first=start,
        attempt=secrets.token_hex(8),
        writer=writer,
        created_at=now,
    )
    body = entries.encode(genesis)
    stored = await append(store, chain.genesis, body, ours=lambda winner: winner == body, retry=retry)
    # whoever won, the stored genesis is obeyed; the winner may have written entries meanwhile
    return await read_head(store, chain, None, retry) or after_genesis(chain, stored.body)


async def check_log(head: Head, start: int, end: int, log: PartitionLog) -> None:
    """Raises Halted unless the log [start, end) carries on at `head`."""
    where = f"{head.chain.topic}[{head.chain.partition}]"
    if head.next < start:
        raise Halted(
            "log_start_above_head",
            f"{where}: the log now starts at {start}, the ledger ends at {head.next}: "
            f"{start - head.next} offsets were deleted before they could be archived",
            remedy="Records are lost: was a retention too short? The partition stays halted; a topic "
            "made anew begins new chains",
        )
    if head.next > end:
        raise Halted(
            "head_above_log_end",
            f"{where}: the log ends at {end}, below the ledger's {head.next}",
            remedy="The log was cut (an unclean leader election, a restored broker). Compare its replicas",
        )
    anchor = head.anchor
    if anchor is None or anchor.offset < start:
        return  # nothing to compare with: the anchor's record has expired, as it should
    value = await log.record(anchor.offset)
    if value is None and anchor.offset < (await log.bounds())[0]:
        return  # it expired while we asked
    if value is None or sha256(value).hexdigest() != anchor.sha256:
        raise Halted(
            "anchor_differs",
            f"{where}: offset {anchor.offset} no longer holds the record that the ledger archived",
            remedy="This is another log, or it was cut and grew again. Compare with its replicas and backups",
        )
