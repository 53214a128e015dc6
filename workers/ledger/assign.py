"""Claims a partition: which chain it continues, where, and whether the log is still the same log.

Kafka's group offset is a hint that may be deleted, reset or wrong; the ledger decides. A log that does not
carry on where the ledger ends (cut, re-created, swapped) halts its partition: nothing is guessed.
"""

import secrets
from hashlib import sha256
from typing import Protocol

from workers.ledger import entries, halts
from workers.ledger.chain import append
from workers.ledger.entries import FIRST_INCARNATION, Genesis, Writer
from workers.ledger.halts import Halted, acknowledge
from workers.ledger.head import Head, Hint, after_genesis
from workers.ledger.succession import LogId, current
from workers.store.port import Store
from workers.store.retry import Retry


class PartitionLog(Protocol):
    """What the claim asks of Kafka about one partition."""

    async def bounds(self) -> tuple[int, int]:
        """First offset that the log holds, and the one after its last."""

    async def record(self, offset: int) -> bytes | None:
        """The value of the record at exactly `offset`, None where there is none."""


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
    """The head to go on from; opens the chain where there is none. Raises Halted."""
    head = await current(store, log_id, hint, retry)
    start, end = await log.bounds()
    if head is None:
        head = await _open(store, log_id, start, writer, now, retry)
    await check_log(head, start, end, log)
    anchor = head.anchor
    if anchor is None or anchor.offset < start or anchor.offset + 1 == head.next:
        return head
    # what the ledger counted as gaps behind its last record must still be gaps: see gap_filled
    return head._replace(reads_from=anchor.offset + 1)


async def _open(store: Store, log_id: LogId, start: int, writer: Writer, now: int, retry: Retry) -> Head:
    chain = log_id.chain(FIRST_INCARNATION)
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
    # whoever won, the stored genesis is obeyed; the winner may have written entries meanwhile, or closed it
    return await current(store, log_id, None, retry) or after_genesis(chain, stored.body)


async def check_log(head: Head, start: int, end: int, log: PartitionLog) -> None:
    """Raises Halted unless the log [start, end) carries on at `head`."""
    where = f"{head.chain.topic}[{head.chain.partition}]"
    command = acknowledge(head.chain.topic, head.chain.partition)
    if head.next < start:
        raise Halted(
            halts.LOG_START_ABOVE_HEAD,
            f"{where}: the log now starts at {start}, the ledger ends at {head.next}: "
            f"{start - head.next} offsets were deleted before they could be archived",
            remedy=f"They are lost: was a retention too short? {command} puts that on record and goes on",
        )
    if head.next > end:
        raise Halted(
            halts.HEAD_ABOVE_LOG_END,
            f"{where}: the log ends at {end}, below the ledger's {head.next}",
            remedy="The log was cut (an unclean leader election, a restored broker). Compare its replicas; "
            f"if none has more, {command}",
        )
    anchor = head.anchor
    if anchor is None or anchor.offset < start:
        return  # nothing to compare with: the anchor's record has expired, as it should
    value = await log.record(anchor.offset)
    if value is None and anchor.offset < (await log.bounds())[0]:
        return  # it expired while we asked
    if value is None or sha256(value).hexdigest() != anchor.sha256:
        raise Halted(
            halts.ANCHOR_DIFFERS,
            f"{where}: offset {anchor.offset} no longer holds the record that the ledger archived",
            remedy="This is another log, or it was cut and grew again. Compare its replicas and backups; "
            f"if none has it, {command}",
        )


def gap_filled(head: Head, offset: int) -> Halted:
    """For a record at `offset`, behind the anchor and before the head: the log was cut in a gap, and grew."""
    where = f"{head.chain.topic}[{head.chain.partition}]"
    return Halted(
        halts.ANCHOR_DIFFERS,
        f"{where}: offset {offset} holds a record, where there was none when the ledger counted it",
        remedy="This is another log, or it was cut and grew again. Compare with its replicas and backups; "
        f"if none differs, {acknowledge(head.chain.topic, head.chain.partition)}",
    )
