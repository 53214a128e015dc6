"""Puts losses on record for an operator: joins the ledger, Kafka and the audit topic (docs/operations.md)."""

from typing import Protocol

from msgspec.structs import replace

from topics import audit
from workers.by import By
from workers.errors import Fatal, Poison, Retryable
from workers.ledger import fleet
from workers.ledger.acknowledge import Recorded, acknowledge, audit_record, last_recorded
from workers.ledger.entries import Closing
from workers.ledger.head import Hint
from workers.ledger.losses import Loss, find_loss
from workers.ledger.succession import LogId
from workers.roles.claims import Log, OneLog
from workers.store.port import Store
from workers.store.retry import Retry


class Kafka(Log, Protocol):
    """What is asked of Kafka as workers do; see workers.stream.log."""

    async def cluster_id(self) -> str: ...


class Beside(Protocol):
    """And what is asked beside them; see workers.stream.beside."""

    async def group_offset(self, partition: int) -> tuple[int, str] | None: ...

    async def first_record(self, partition: int, first: int, end: int) -> int | None: ...


class Publisher(Protocol):
    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> object: ...


class Losses:
    """Of one partition. Nothing is written before `put_on_record`."""

    def __init__(
        self, ledger: Store, kafka: Kafka, beside: Beside, log_id: LogId, audit_topic: str, retry: Retry
    ) -> None:
        self._ledger, self._retry = ledger, retry
        self._kafka, self._beside = kafka, beside
        self._log_id = log_id
        self._log = _ReadableLog(kafka, beside, retry, log_id)
        self._audit_topic = audit_topic

    @classmethod
    async def of(
        cls,
        ledger: Store,
        kafka: Kafka,
        beside: Beside,
        *,
        group: str,
        topic: str,
        partition: int,
        audit_topic: str,
        retry: Retry,
    ) -> "Losses":
        """Raises Fatal on another fleet's Kafka, and for a missing topic."""
        stored = await fleet.stored_fleet(ledger, retry)
        if stored is not None:  # another cluster's topic would look like one that was made anew
            mine = replace(stored, cluster_id=await kafka.cluster_id(), group=group)
            fleet.check(stored, mine, f"{ledger.name}/fleet.json")
        topic_id = (await kafka.topic_ids([topic]))[topic]
        return cls(ledger, kafka, beside, LogId(topic, topic_id, partition), audit_topic, retry)

    async def look(self) -> Loss | None:
        """What would be put on record. None where the partition goes on. Raises Halted for other halts."""
        found = await self._beside.group_offset(self._log_id.partition)
        hint = None if found is None else Hint.parse(found[1], found[0])
        return await find_loss(self._ledger, self._log_id, self._log, hint, self._retry)

    async def put_on_record(self, loss: Loss, by: By, version: str, publisher: Publisher) -> Recorded:
        """Closes the chain, and sends the copy for the audit topic.

        Raises Changed, with nothing written, if the loss is not what it was.
        """
        await self._kafka.topic_ids([self._audit_topic])  # what can't be told is not begun
        recorded = await acknowledge(self._ledger, self.look, loss, by, version, self._retry)
        await self._tell(recorded.closing, publisher)
        return recorded

    async def repeat(self, by: By, publisher: Publisher) -> Recorded:
        """Completes what an earlier try of `by` has put on record. Raises Poison where there was none."""
        recorded = await last_recorded(self._ledger, self._log_id, self._retry)
        if recorded is None or (recorded.closing.actor, recorded.closing.reason) != (by.who, by.why):
            last = "" if recorded is None else f". The last loss is on record at {recorded.key}"
            where = f"{self._log_id.topic}[{self._log_id.partition}]"
            raise Poison(
                f"{where} is not halted for a loss: there is nothing to put on record{last}",
                remedy="`strongroom ledger status` shows what is",
            )
        await self._tell(recorded.closing, publisher)
        return recorded

    async def _tell(self, closing: Closing, publisher: Publisher) -> None:
        record = audit_record(closing)
        key, value = audit.record_key(record), audit.codec.encode(record)
        try:
            await publisher.send_and_wait(self._audit_topic, key, value)
        except (Retryable, Fatal) as error:
            raise type(error)(
                f"the loss is on record in the ledger, but {self._audit_topic} has no copy: {error.message}",
                remedy="The partition goes on all the same. Repeat the command to send the copy",
            ) from error


class _ReadableLog(OneLog):
    def __init__(self, kafka: Kafka, beside: Beside, retry: Retry, log_id: LogId) -> None:
        super().__init__(kafka, retry, *log_id)
        self._number = log_id.partition
        self._beside = beside

    async def first_record(self, start: int, end: int) -> int | None:
        return await self._beside.first_record(self._number, start, end)
