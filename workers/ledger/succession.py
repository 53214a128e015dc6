"""Which chain of a partition is the current one: incarnations, closings, and topics made anew.

A closed chain says where the next one begins. Whoever finds that the next one has no genesis yet writes it
from the closing; it comes out the same whoever does.
"""

from collections.abc import Mapping
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import append, read
from workers.ledger.entries import FIRST_INCARNATION, After, Genesis
from workers.ledger.halts import TOPIC_RECREATED, Halted, acknowledge
from workers.ledger.head import Head, Hint, closed_head, head_behind, read_head
from workers.ledger.names import ChainId, incarnation_of, topic_prefix
from workers.store.port import Store
from workers.store.retry import Retry


class Recreated(Halted):
    """A chain of another topic of this name is open: `chain`."""

    def __init__(self, log_id: "LogId", chain: ChainId) -> None:
        super().__init__(
            TOPIC_RECREATED,
            f"{log_id.topic}[{log_id.partition}]: the topic was made anew: its id is {log_id.topic_id}, and "
            f"the ledger's chain of the topic {chain.topic_id} is not closed",
            remedy="What the old topic held beyond that chain is lost. "
            f"{acknowledge(log_id.topic, log_id.partition)} puts that on record and goes on with the new one",
        )
        self.chain = chain


class LogId(NamedTuple):
    topic: str
    topic_id: str
    partition: int

    def chain(self, incarnation: int) -> ChainId:
        return ChainId(self.topic, self.topic_id, incarnation, self.partition)


async def current(store: Store, log_id: LogId, hint: Hint | None, retry: Retry) -> Head | None:
    """The head of the chain that is written to; None where there is none, and one may be opened.

    Raises Halted for a broken chain, and while a chain of another topic of this name is not closed.
    """
    known = await incarnations(store, log_id.topic, retry)
    newest = await _newest(store, log_id, known, retry)
    await _check_others(store, log_id, known, newest, retry)
    head: Head | None
    if newest is None:
        # a closing of the topic before may have opened it just now; and its genesis may be missing
        head = await read_head(store, log_id.chain(FIRST_INCARNATION), hint, retry)
    else:
        head = await head_behind(store, *newest, hint, retry)
    if head is None:
        return None
    followed = {head.chain}
    while head.closing is not None:
        chain = head.closing.opens_chain
        if chain in followed:
            raise entries.broken(chain.genesis, "chains lead from one to another in a circle")
        genesis = await open_behind(store, head, retry)
        if chain.topic_id != log_id.topic_id:
            raise Recreated(log_id, chain)
        followed.add(chain)
        head = await head_behind(store, chain, genesis, None, retry)
    return head


async def incarnations(store: Store, topic: str, retry: Retry) -> Mapping[str, list[int]]:
    """Topic id → the incarnations that any partition of `topic` has. One request each, and one."""
    found: dict[str, list[int]] = {}
    prefix = topic_prefix(topic)
    after = ""

    async def next_key() -> str | None:
        async for stat in store.list(prefix, after=after, limit=1):
            return stat.key
        return None

    while (key := await retry.call(next_key)) is not None:
        folder = key.removeprefix(prefix).partition("/")[0]
        if (parsed := incarnation_of(folder)) is not None:
            found.setdefault(parsed[0], []).append(parsed[1])
        after = f"{prefix}{folder}0"  # "0" is the character behind "/": behind all that the folder holds
    return {topic_id: sorted(numbers) for topic_id, numbers in found.items()}


async def newest_of(
    store: Store, log_id: LogId, known: Mapping[str, list[int]], retry: Retry
) -> ChainId | None:
    """The newest incarnation that has a genesis: the older ones are closed."""
    newest = await _newest(store, log_id, known, retry)
    return None if newest is None else newest[0]


async def open_behind(store: Store, closed: Head, retry: Retry) -> bytes:
    """The genesis of the chain that a closing opens; written if it is not there yet."""
    assert closed.closing is not None  # noqa: S101 - callers have looked
    genesis = entries.encode(entries.opening(closed.closing, closed.digest))
    chain = closed.closing.opens_chain
    stored = await append(store, chain.genesis, genesis, ours=lambda winner: winner == genesis, retry=retry)
    return stored.body


async def _newest(
    store: Store, log_id: LogId, known: Mapping[str, list[int]], retry: Retry
) -> tuple[ChainId, bytes] | None:
    for incarnation in reversed(known.get(log_id.topic_id, [])):
        chain = log_id.chain(incarnation)
        if (body := await read(store, chain.genesis, retry)) is not None:
            return chain, body
    return None


async def _check_others(
    store: Store,
    log_id: LogId,
    known: Mapping[str, list[int]],
    newest: tuple[ChainId, bytes] | None,
    retry: Retry,
) -> None:
    """Raises Halted unless every chain of another topic of this name leads, by closings, to ours."""
    others = known.keys() - {log_id.topic_id}
    if others and newest is not None:
        others -= await _before(store, *newest, retry)
    for topic_id in sorted(others):
        chain = await newest_of(store, log_id._replace(topic_id=topic_id), known, retry)
        followed: set[ChainId] = set()
        while chain is not None and chain.topic_id != log_id.topic_id and chain not in followed:
            followed.add(chain)
            closed = await closed_head(store, chain, retry)
            if closed is None or closed.closing is None:
                raise Recreated(log_id, chain)
            await open_behind(store, closed, retry)
            chain = closed.closing.opens_chain


async def _before(store: Store, chain: ChainId, genesis: bytes, retry: Retry) -> set[str]:
    """The topic ids whose chains led to this one: each genesis names the closing that opened it."""
    found: set[str] = set()
    followed = {chain}
    body: bytes | None = genesis
    while body is not None:
        try:
            after = entries.decode(Genesis, body, chain.genesis).after
        except Halted:
            break  # then each is looked at by itself
        if not isinstance(after, After):
            break
        chain = chain._replace(topic_id=after.topic_id, incarnation=after.incarnation)
        if chain in followed:
            break
        followed.add(chain)
        found.add(chain.topic_id)
        body = await read(store, chain.genesis, retry)
    return found
