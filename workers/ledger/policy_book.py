"""A policy topic as commands use it: change the chain in S3, then see that the topic has what the chain has.

Publishing is safe to repeat: readers keep the highest seq a key. What must not happen is that an older value
comes last in Kafka, because compaction keeps what comes last: a writer that was paused between its two steps
would bring a revoked key back, for every worker that starts later. So whoever published reads the chain once
more and publishes again what is newer by now. For a writer that is paused there and then dies, the topic's
min.compaction.lag.ms keeps the newer record for a day: time to mend it by `strongroom policy publish`.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, Protocol

import msgspec

from topics import audit
from topics.audit import AuditRecord
from workers.by import By
from workers.errors import Fatal, Poison, Retryable
from workers.ledger import policy_entries as entries
from workers.ledger.policy_chain import PolicyChain
from workers.ledger.policy_entries import Change, PolicyEntry, Published
from workers.ledger.policy_kinds import P, PolicyKind
from workers.ledger.policy_shards import together
from workers.store.port import Store
from workers.store.retry import Retry

AT_ONCE = 200  # records on their way to Kafka


class Place(Protocol):
    """Where a record stands in its topic."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...


class Publisher(Protocol):
    """Returns when all in-sync replicas have the record. Raises Retryable."""

    async def send_and_wait(self, topic: str, key: bytes | None, value: bytes) -> Place: ...


class Unpublished(Retryable):
    """A change is committed, and no worker acts by it yet."""


def _unpublished(error: Retryable | Fatal) -> Unpublished | Fatal:
    message = f"the change stands in the policy chain, but workers do not know it yet: {error.message}"
    remedy = "Repeat the command, or run `strongroom policy publish`"
    if isinstance(error, Retryable):
        return Unpublished(message, remedy=remedy)
    return Fatal(message, remedy=f"{error.remedy}. {remedy}" if error.remedy else remedy)


class PolicyBook(Generic[P]):
    """`prefix` is the fleet's topic prefix: the chain goes without it."""

    def __init__(
        self, store: Store, kind: PolicyKind[P], publisher: Publisher, *, prefix: str, retry: Retry
    ) -> None:
        self.chain = PolicyChain(store, kind, retry=retry)
        self._store = store
        self._publisher = publisher
        self._prefix = prefix
        self._retry = retry
        self.placed: dict[str, Place] = {}  # key → where this book last published it

    async def change(self, edits: Mapping[str, Callable[[P | None], P | None]], by: By) -> dict[str, P]:
        """PolicyChain.change, then publishes; returns when all in-sync replicas have it.

        Where a change is refused, or nothing is to change, what an earlier command left unpublished in the
        shards of these keys is published all the same: repeating a command completes it. Raises Unpublished.
        """
        shards = {entries.shard_of(key) for key in edits}
        try:
            values = await self.chain.change(edits, by)
        except Poison:
            await self.publish_missing(shards)
            raise
        try:
            await self.publish_missing(shards)
        except (Retryable, Fatal) as error:
            raise _unpublished(error) from error
        return values

    async def publish_missing(self, shards: Iterable[int] | None = None) -> int:
        """Publishes what is not known to be on the topic, in all shards or these; returns how many values."""
        if shards is None:
            shards = await self.chain.shards.present()
        return sum(await together(self._publish_shard, shards))

    async def publish_all(self, step: Callable[[], None] = lambda: None) -> tuple[int, list[str]]:
        """Publishes every key's newest value, whatever was published before, from the entries alone.

        For a new Kafka. Returns how many values, and the changes in the chains that had to be refused.
        Requests: one an entry, 16 at once. `step` is called after each shard.
        """
        published = 0
        findings: list[str] = []
        for shard in await self.chain.shards.present():
            done = await self.chain.shards.published(shard)
            fold, refused = await self.chain.replay(shard)
            findings += refused
            await self._publish(fold.states.values())
            await self._announce(shard, _since(done, fold.seq), fold.seq)
            published += len(fold.states) + await self._publish_shard(shard)
            step()
        return published, findings

    async def _publish_shard(self, shard: int) -> int:
        done = await self.chain.shards.published(shard)
        published = 0
        fold = await self.chain.fold(shard)
        done = _since(done, fold.seq)
        while fold.seq > done:
            missing = [value for value in fold.states.values() if value.seq > done]
            await self._publish(missing)
            await self._announce(shard, done, fold.seq)
            done, published = fold.seq, published + len(missing)
            fold = await self.chain.fold(shard)
        return published

    async def _publish(self, values: Iterable[P]) -> None:
        kind = self.chain.kind
        keyed = [(kind.key(value), kind.codec.encode(value)) for value in values]
        places = await self._send(self._prefix + kind.topic, [(key.encode(), value) for key, value in keyed])
        self.placed.update((key, place) for (key, _), place in zip(keyed, places, strict=True))

    async def _announce(self, shard: int, after: int, head: int) -> None:
        """Sends the audit records of the entries (after, head], then marks the shard as published so far.

        In this order: what is marked before it is announced never comes to the audit topic.
        """
        if after == head:
            return
        digest = entries.digest(await self.chain.shards.body(shard, after)) if after else None
        read = await self.chain.shards.entries(shard, after, digest, head)
        records = [
            self._audit_record(entry, index, change)
            for entry, _ in read
            for index, change in enumerate(entry.changes)
        ]
        await self._send(
            self._prefix + audit.NAME,
            [(audit.record_key(record), audit.codec.encode(record)) for record in records],
        )
        await self._mark(shard, head)

    def _audit_record(self, entry: PolicyEntry, index: int, change: Change) -> AuditRecord:
        kind = self.chain.kind
        value = kind.codec.decode(bytes(change.after))
        return AuditRecord(
            id=f"{kind.topic}/{entry.shard}/{entry.seq}/{index}",
            workspace=kind.workspace(value),
            who=change.who,
            host=change.host,
            at=change.when,
            why=change.why,
            action=f"{kind.topic}.{kind.action(value)}",
            subject=change.key,
            before=msgspec.Raw(bytes(change.before)),
            after=msgspec.Raw(bytes(change.after)),
        )

    async def _send(self, topic: str, records: list[tuple[bytes, bytes]]) -> list[Place]:
        return await together(
            lambda record: self._publisher.send_and_wait(topic, *record), records, at_once=AT_ONCE
        )

    async def _mark(self, shard: int, seq: int) -> None:
        """May go back when two writers publish at once: what is between is then published again."""
        name = entries.published_name(self.chain.kind.topic, shard)
        body = entries.encode(Published(seq=seq))
        await self._retry.call(lambda: self._store.put(name, body))


def _since(done: int, head: int) -> int:
    """The mark of a longer chain than this one, which was restored, says nothing."""
    return done if done <= head else 0
