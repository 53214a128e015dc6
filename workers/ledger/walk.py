"""Walks the ledger as a reader does: all chains of a bucket, and a chain's entries in order."""

import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Entry
from workers.ledger.head import Head, after_entry, after_genesis, follows
from workers.ledger.names import ChainId
from workers.store.port import Stat, Store
from workers.store.retry import Retry

ROOT = "ledger/v1/"
PAGE = 1000  # keys a list request
CHAIN = re.compile(
    r"ledger/v1/(?P<topic>[^/]+)/(?P<topic_id>[^/]+)\.(?P<incarnation>\d+)/(?P<partition>\d{5})/(?P<name>[^/]+)\Z",
    re.ASCII,
)


class Place(NamedTuple):
    """Where a ledger key belongs."""

    chain: ChainId
    name: str  # genesis.json, or an entry's


def place(key: str) -> Place | None:
    """None for a key that no chain would have written."""
    match = CHAIN.match(key)
    if match is None:
        return None
    topic, topic_id, incarnation, partition, name = match.groups()
    chain = ChainId(topic, topic_id, int(incarnation), int(partition))
    return Place(chain, name) if key.startswith(chain.prefix) else None


async def listed(store: Store, prefix: str, retry: Retry) -> AsyncIterator[Stat]:
    """As Store.list, page by page, so that one bad answer does not end a long listing."""
    after = ""

    async def page() -> list[Stat]:
        return [stat async for stat in store.list(prefix, after=after, limit=PAGE)]

    while found := await retry.call(page):
        for stat in found:
            yield stat
        if len(found) < PAGE:
            return
        after = found[-1].key


async def chains(store: Store, retry: Retry) -> AsyncIterator[ChainId]:
    """Every chain, in the order of names. One request a chain, however long it is."""
    after = ""

    async def next_key() -> str | None:
        async for stat in store.list(ROOT, after=after, limit=1):
            return stat.key
        return None

    while (key := await retry.call(next_key)) is not None:
        found = place(key)
        if found is None:
            after = key
        else:
            yield found.chain
            after = found.chain.genesis  # sorts behind all entries of the chain


async def walk(store: Store, chain: ChainId, retry: Retry) -> AsyncIterator[Entry]:
    """The entries from the genesis to the head. Raises Fatal at the first thing that is wrong.

    Memory: one entry. Requests: one an entry, and two.
    """

    genesis = await read(store, chain.genesis, retry)
    if genesis is None:
        raise entries.broken(chain.genesis, "there are entries, but no genesis")
    head: Head = after_genesis(chain, genesis)
    while (body := await read(store, chain.entry(head.next), retry)) is not None:
        entry, newer = after_entry(chain, head.next, body)
        follows(head, entry)
        head = newer
        yield entry
