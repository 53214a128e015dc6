"""Writes checkpoints: follows each chain from its newest one, entry by entry, and signs how far it came.

What a checkpoint says was there must be there: a chain that has lost it gets no further one, and is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import checkpoint as checkpoints
from workers.ledger.chain import append, read
from workers.ledger.checkpoint import Checkpoint, Forged, Sums, Vouched
from workers.ledger.entries import Entry, Writer
from workers.ledger.head import Head, after_genesis, after_slot, closed_head, follows
from workers.ledger.names import ChainId
from workers.ledger.walk import chains
from workers.sealing.signing import Signer, Trust
from workers.store.port import Store
from workers.store.retry import Retry


@dataclass
class Pass:
    chains: int = 0
    written: int = 0
    refused: dict[str, str] = field(default_factory=dict)  # chain's prefix → why it got no checkpoint
    forged: list[Forged] = field(default_factory=list)
    newest: list[Vouched] = field(default_factory=list)  # of each chain that has one


class _At(NamedTuple):
    """As far as a chain was followed."""

    head: Head
    sums: Sums
    vouched: Vouched | None  # the newest checkpoint


class NotMet(Fatal):
    """A true checkpoint names an entry that is not there, or has other bytes."""


class Checkpointer:
    """`stores`: the ledger's bucket, then a second one if there is one; both get every checkpoint.

    `every`: entries between two checkpoints of a chain that is behind; at its head there is always one.
    Memory: a checkpoint a chain. `step` is told of each entry that was read; `now` is ms since the epoch.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        signer: Signer,
        trust: Trust,
        writer: Writer,
        retry: Retry,
        *,
        every: int,
        now: Callable[[], int],
        step: Callable[[], None] = lambda: None,
    ) -> None:
        self._stores, self._ledger = stores, stores[0]
        self._signer, self._trust = signer, trust | signer.trust
        self._writer, self._retry = writer, retry
        self._every, self._now, self._step = every, now, step
        self._known: dict[ChainId, _At] = {}
        self._over: set[ChainId] = set()  # closed, and broken before that: they get no further one

    async def run_pass(self) -> Pass:
        """All chains. Raises Retryable where a bucket stays away; what was written stays.

        Requests: a list and a GET a chain that has not grown, and a GET an entry, and a PUT a checkpoint and
        bucket; in a process's first pass, a list and two GETs more a chain and bucket.
        """
        done = Pass()
        async for chain in chains(self._ledger, self._retry):
            done.chains += 1
            if chain in self._over:
                continue
            try:
                at = await self._follow(chain, done)
            except Fatal as error:
                self._known.pop(chain, None)
                if await closed_head(self._ledger, chain, self._retry) is not None:
                    self._over.add(chain)  # a person has put on record what is wrong with it
                else:
                    done.refused[chain.prefix] = error.message
                continue
            if at.vouched is not None:
                done.newest.append(at.vouched)
        return done

    async def _follow(self, chain: ChainId, done: Pass) -> _At:
        at = self._known.get(chain) or await self._begin(chain, done)
        since = 0  # entries
        while at.head.closing is None:
            body = await read(self._ledger, chain.entry(at.head.next), self._retry)
            if body is None:
                break
            found, head = after_slot(chain, at.head.next, body)
            follows(at.head, found)
            at = _At(head, at.sums.plus(found) if isinstance(found, Entry) else at.sums, at.vouched)
            since += 1
            self._step()
            if since >= self._every:
                at, since = await self._write(at, done), 0
        if since:
            at = await self._write(at, done)
        self._known[chain] = at
        return at

    async def _begin(self, chain: ChainId, done: Pass) -> _At:
        """From the newest checkpoint of all buckets. Raises NotMet unless each of theirs is met."""
        heads: dict[int, Head] = {}
        found = [
            await checkpoints.newest(store, chain, self._trust, self._retry, done.forged)
            for store in self._stores
        ]
        for vouched in found:
            if vouched is None:
                continue
            body = await read(self._ledger, chain.entry(vouched.checkpoint.first), self._retry)
            if body is None or not checkpoints.met(vouched.checkpoint, body):
                raise NotMet(
                    f"{vouched.where} says that {chain.entry(vouched.checkpoint.first)} was there: "
                    f"{'it is gone' if body is None else 'it has other bytes'}",
                    remedy="Run `strongroom verify`, and restore the entry from a version or replica",
                )
            heads[vouched.checkpoint.first] = after_slot(chain, vouched.checkpoint.first, body)[1]
        newest = max(
            (each for each in found if each is not None),
            key=lambda each: each.checkpoint.first,
            default=None,
        )
        if newest is None:
            genesis = await read(self._ledger, chain.genesis, self._retry)
            if genesis is None:
                raise NotMet(f"{chain.genesis} is not there", remedy="Run `strongroom verify`")
            return _At(after_genesis(chain, genesis), Sums(), None)
        await self._put(newest.checkpoint, newest.body)
        return _At(heads[newest.checkpoint.first], newest.checkpoint.sums, newest)

    async def _write(self, at: _At, done: Pass) -> _At:
        head = at.head
        assert head.first is not None  # noqa: S101 - an entry was read
        made = Checkpoint(
            **head.chain._asdict(),
            first=head.first,
            next=head.next,
            sha256=head.digest,
            sums=at.sums,
            at=self._now(),
            by=self._writer,
        )
        vouched = await self._put(made, checkpoints.signed(made, self._signer))
        done.written += 1
        return at._replace(vouched=vouched)

    async def _put(self, made: Checkpoint, body: bytes) -> Vouched:
        """Into all buckets. Another steward's that says the same is as good. Raises NotMet otherwise."""
        key = checkpoints.key_of(made.chain, made.first)
        for store in self._stores:
            stored = await append(store, key, body, ours=body.__eq__, retry=self._retry)
            there = checkpoints.opened(stored.body, f"{store.name}/{key}", self._trust)
            if isinstance(there, Forged) or not there.checkpoint.says_as(made):
                raise NotMet(
                    f"{store.name}/{key} is there and says something else than the chain",
                    remedy="Run `strongroom verify`. If it was forged, delete it",
                )
        return Vouched(f"{self._ledger.name}/{key}", made, body)
