"""Where each chain stands, from the bucket alone: open, closed by which loss, or broken."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.entries import Closing
from workers.ledger.halts import TOPIC_RECREATED, Halted
from workers.ledger.head import read_head
from workers.ledger.names import ChainId
from workers.ledger.walk import chains
from workers.store.port import Store
from workers.store.retry import Retry


class Standing(NamedTuple):
    chain: ChainId
    next: int | None  # the offset that is archived next, or that was the last chain's end; None if unknown
    closing: Closing | None = None
    halt: str | None = None  # the cause that a worker would halt by, so far as the bucket tells
    why: str = ""

    @property
    def state(self) -> str:
        if self.halt is not None:
            return "halted"
        return "open" if self.closing is None else "closed"


async def standings(store: Store, retry: Retry) -> list[Standing]:
    """In the order of names. Raises Halted for nothing: it is in the list."""
    found = [standing async for standing in _each(store, retry)]
    ends = Counter((chain.topic, chain.partition) for chain in _open(found))
    return [_rivalled(standing, ends[standing.chain.topic, standing.chain.partition]) for standing in found]


async def _each(store: Store, retry: Retry) -> AsyncIterator[Standing]:
    async for chain in chains(store, retry):
        try:
            head = await read_head(store, chain, None, retry)
        except Halted as halted:
            yield Standing(chain, None, halt=halted.cause, why=halted.message)
            continue
        if head is None:  # named like a chain, and nothing that a chain has
            missing = entries.missing(chain.genesis, "there is no genesis")
            yield Standing(chain, None, halt=missing.cause, why=missing.message)
        elif head.closing is not None:
            yield Standing(chain, head.closing.head, head.closing)
        else:
            yield Standing(chain, head.next)


def _open(found: Iterable[Standing]) -> Iterable[ChainId]:
    return (standing.chain for standing in found if standing.closing is None)


def _rivalled(standing: Standing, ends: int) -> Standing:
    """Of several open chains of one partition all but one wait to be closed."""
    if standing.state != "open" or ends == 1:
        return standing
    chain = standing.chain
    return standing._replace(
        halt=TOPIC_RECREATED,
        why=f"{chain.topic}[{chain.partition}] has {ends} chains that are not closed",
    )
