"""Walks the ledger as a reader does: all chains of a bucket, and a chain's entries in order."""

import re
from collections.abc import AsyncIterator
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Closing, Entry
from workers.ledger.head import Head, after_entry, after_genesis, after_slot, closed_head, follows
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


async def listed(store: Store, prefix: str, retry: Retry, after: str = "") -> AsyncIterator[Stat]:
    """As Store.list, page by page, so that one bad answer does not end a long listing."""

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

    Of a closed chain those that its closing lets count: what it names as broken is passed over.
    Memory: one entry. Requests: one an entry, and 2·log2 of the chain's offsets.
    """
    closed = await closed_head(store, chain, retry)
    if closed is not None and closed.closing is not None and closed.closing.broken:
        async for entry in _what_counts(store, chain, closed.closing, retry):
            yield entry
        return
    genesis = await read(store, chain.genesis, retry)
    if genesis is None:
        raise entries.missing(chain.genesis, "there are entries, but no genesis")
    head: Head = after_genesis(chain, genesis)
    while (body := await read(store, chain.entry(head.next), retry)) is not None:
        found, newer = after_slot(chain, head.next, body)
        follows(head, found)
        if isinstance(found, Closing):
            return
        head = newer
        yield found


async def entries_of(store: Store, retry: Retry) -> AsyncIterator[Entry]:
    """Every entry of every chain."""
    async for chain in chains(store, retry):
        async for entry in walk(store, chain, retry):
            yield entry


async def _what_counts(store: Store, chain: ChainId, closing: Closing, retry: Retry) -> AsyncIterator[Entry]:
    broken = {found.name: found.sha256 for found in closing.broken}
    before: Head | None = None  # None where the one before is broken: nothing says what must follow it
    if "genesis.json" not in broken:
        genesis = await read(store, chain.genesis, retry)
        if genesis is None:
            raise entries.missing(chain.genesis, "its chain's closing does not say so")
        before = after_genesis(chain, genesis)
    async for stat in listed(store, chain.prefix, retry):
        name = stat.key.removeprefix(chain.prefix)
        number = chain.slot(stat.key)
        if number is None or number >= closing.head:
            continue  # the genesis, the closing, or what was written by somebody who did not know of it
        body = await read(store, stat.key, retry)
        if body is None:
            raise entries.missing(stat.key, "it was listed")
        if name in broken:
            if broken[name] not in (None, entries.digest(body)):
                raise entries.broken(stat.key, "its chain's closing names other bytes")
            continue  # where there was nothing, a writer that was paused may have put an entry since
        if before is not None and number != before.next and f"{before.next:020d}.json" not in broken:
            raise entries.missing(chain.entry(before.next), "its chain's closing does not say so")
        entry, after = after_entry(chain, number, body)
        if before is not None and number == before.next:
            follows(before, entry)
        before = after
        yield entry
