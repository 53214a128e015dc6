"""Policy chains in S3: who may write, what customers bought. The truth that the compacted topics spread.

Two writers can't undo each other: a change is checked against the head of its key's shard and written at the
next seq if nobody was faster, else read and checked again (docs/policy.md, Writing).

What it costs, in requests: reading a key cold, 1 list (3 + 2·log2(n/64) where its shard has n ≥ 64 entries),
1 or 2 folds and at most 128 entries, usually few; warm, 1 list. A change adds 1 PUT, every 64th its fold.
With 1 M keys a shard holds some 4,000, its fold is about 1 MB.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple
from uuid import uuid4

import msgspec

from workers.by import By
from workers.errors import Poison, Retryable
from workers.ledger import policy_entries as entries
from workers.ledger.chain import append
from workers.ledger.policy_entries import FOLD_EVERY, Change, FoldObject, PolicyEntry, broken
from workers.ledger.policy_kinds import P, PolicyKind, refused
from workers.ledger.policy_shards import PolicyShards, following, together
from workers.store.port import IF_ABSENT, PreconditionFailed, Store
from workers.store.retry import Retry

NULL = msgspec.Raw(b"null")


class Fold(NamedTuple, Generic[P]):
    """A shard after its entry `seq`: 0 and None before the first."""

    seq: int
    digest: str | None
    states: Mapping[str, P]


class PolicyChain(Generic[P]):
    """One topic's chains. Raises Retryable when the store stays away, Fatal for a broken chain."""

    def __init__(self, store: Store, kind: PolicyKind[P], *, retry: Retry) -> None:
        self.kind = kind
        self.shards = PolicyShards(store, kind.topic, retry=retry)
        self._store = store
        self._retry = retry
        self._folds: dict[int, Fold[P]] = {}

    async def get(self, key: str) -> P | None:
        """The newest value of `key`."""
        return (await self.fold(entries.shard_of(key))).states.get(key)

    async def everything(self) -> dict[str, P]:
        """All newest values by key."""
        states: dict[str, P] = {}
        for fold in await together(self.fold, await self.shards.present()):
            states.update(fold.states)
        return states

    async def fold(self, shard: int) -> Fold[P]:
        """The shard as of now: every change that was committed before this call is in it."""
        fold = self._folds.get(shard) or Fold(0, None, {})
        head = await self.shards.head(shard, fold.seq)
        if head - fold.seq > FOLD_EVERY:
            stored = await self.shards.stored_fold(shard, head, newer_than=fold.seq)
            fold = (stored and self._restored(stored)) or fold
        read = await self.shards.entries(shard, fold.seq, fold.digest, head)
        self._folds[shard] = self._after(fold, read)
        return self._folds[shard]

    async def replay(self, shard: int) -> tuple[Fold[P], list[str]]:
        """The shard from its first entry on, believing no fold, and the changes in it that had to be refused.

        One request an entry.
        """
        fold: Fold[P] = Fold(0, None, {})
        findings: list[str] = []
        head = await self.shards.head(shard, 0)
        for entry, digest in await self.shards.entries(shard, 0, None, head):
            after = self._after(fold, [(entry, digest)])
            where = entries.entry_name(self.kind.topic, shard, entry.seq)
            findings += [f"{where}: {words}" for words in refused(self.kind, fold.states, entry)]
            fold = after
        return fold, findings

    async def change(self, edits: Mapping[str, Callable[[P | None], P | None]], by: By) -> dict[str, P]:
        """Commits what `edits` make of each key's value (None: of a new key), and returns what stands then.

        An edit is pure, as it is called again whenever another writer was faster; it returns None to leave
        things as they are. It may raise Refused, as the kind's check does; its shard is not written then.
        Keys of one shard change together, in one entry; keys of several shards do not.
        """
        by_shard: dict[int, list[str]] = {}
        for key in edits:
            by_shard.setdefault(entries.shard_of(key), []).append(key)
        values: dict[str, P] = {}
        for changed in await together(
            lambda shard: self._change_shard(shard, {key: edits[key] for key in by_shard[shard]}, by),
            by_shard,
        ):
            values |= changed
        return values

    async def _change_shard(
        self, shard: int, edits: Mapping[str, Callable[[P | None], P | None]], by: By
    ) -> dict[str, P]:
        fold = await self.fold(shard)
        while changed := self._edited(fold, edits, shard, by):
            seq = fold.seq + 1
            body = self._encoded(fold, changed, shard, by)
            name = entries.entry_name(self.kind.topic, shard, seq)
            appended = await append(self._store, name, body, ours=body.__eq__, retry=self._retry)
            # the winner's own bytes, not another list: a list may lag behind what a PUT was refused for
            entry = following(appended.body, self.kind.topic, shard, seq, fold.digest)
            fold = self._folds[shard] = self._after(fold, [(entry, entries.digest(appended.body))])
            if appended.won:
                await self._keep_fold(shard, fold)
                break
        return {key: fold.states[key] for key in edits if key in fold.states}

    def _edited(
        self, fold: Fold[P], edits: Mapping[str, Callable[[P | None], P | None]], shard: int, by: By
    ) -> dict[str, P]:
        changed: dict[str, P] = {}
        for key, edit in edits.items():
            before = fold.states.get(key)
            after = edit(before)
            if after is None:
                continue
            self.kind.check(before, after)
            if self.kind.key(after) != key:
                raise Poison(f"a change of {key} can't make a value of {self.kind.key(after)}")
            changed[key] = msgspec.structs.replace(after, shard=shard, seq=fold.seq + 1, changed_at=by.now)
        return changed

    def _encoded(self, fold: Fold[P], changed: Mapping[str, P], shard: int, by: By) -> bytes:
        codec = self.kind.codec
        changes = tuple(
            Change(
                key=key,
                who=by.who,
                host=by.host,
                when=by.now,
                why=by.why,
                before=msgspec.Raw(codec.encode(fold.states[key])) if key in fold.states else NULL,
                after=msgspec.Raw(codec.checked(after)),
                effective_from=self.kind.effective_from(after),
            )
            for key, after in changed.items()
        )
        return entries.encode(
            PolicyEntry(
                topic=self.kind.topic,
                shard=shard,
                seq=fold.seq + 1,
                previous=fold.digest,
                attempt=uuid4().hex,
                changes=changes,
            )
        )

    def _after(self, fold: Fold[P], read: Iterable[tuple[PolicyEntry, str]]) -> Fold[P]:
        seq, digest, states = fold.seq, fold.digest, dict(fold.states)
        for entry, entry_digest in read:
            seq, digest = entry.seq, entry_digest
            for change in entry.changes:
                try:
                    states[change.key] = self.kind.codec.decode(bytes(change.after))
                except Poison as error:
                    where = entries.entry_name(self.kind.topic, entry.shard, entry.seq)
                    raise broken(where, str(error)) from None
        return Fold(seq, digest, states)

    def _restored(self, stored: FoldObject) -> Fold[P] | None:
        try:
            values = [self.kind.codec.decode(bytes(raw)) for raw in stored.states]
        except Poison:
            return None  # the chain has it all
        return Fold(stored.seq, stored.digest, {self.kind.key(value): value for value in values})

    async def _keep_fold(self, shard: int, fold: Fold[P]) -> None:
        """Every 64th. Best effort: the change is committed; without its fold readers read more entries."""
        if fold.seq % FOLD_EVERY or fold.digest is None:
            return
        states = tuple(msgspec.Raw(self.kind.codec.encode(value)) for value in fold.states.values())
        stored = FoldObject(
            topic=self.kind.topic, shard=shard, seq=fold.seq, digest=fold.digest, states=states
        )
        name = entries.fold_name(self.kind.topic, shard, fold.seq)
        try:
            await self._store.put(name, entries.encode(stored), condition=IF_ABSENT)
        except (PreconditionFailed, Retryable):
            return
