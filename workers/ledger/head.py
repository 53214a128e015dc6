"""Finds the head of an intake chain: the newest entry, after which the next one is written.

A hint (left with Kafka's committed offset) may name an entry near the head. It is believed only if that entry
exists with that digest, and is followed by `next`. Without one, the name of the newest checkpoint says where
to begin to list. It is believed in nothing: the head is the last entry that is there. Otherwise the chain is
searched.
"""

from typing import NamedTuple

from workers.ledger import checkpoint, entries
from workers.ledger.chain import read
from workers.ledger.entries import Anchor, Closing, Entry, Genesis
from workers.ledger.halts import Halted
from workers.ledger.names import ChainId
from workers.store.port import Store
from workers.store.retry import Retry

STRIDE = 1 << 16  # offsets; the first leap of a search, doubled at each
PAGE = 1000  # keys that one list request gives


class Hint(NamedTuple):
    """Names an entry: `first` and its bytes' SHA-256 in hex; `chain` is its topic id and incarnation."""

    first: int
    digest: str
    chain: str = ""  # hints of older versions do not say
    next: int | None = None  # where the entry ends, as the group's offset says

    def __str__(self) -> str:
        return f"{self.first}:{self.digest}:{self.chain}"

    @classmethod
    def parse(cls, text: str, following: int | None = None) -> "Hint | None":
        """From the group's metadata and offset."""
        first, _, rest = text.partition(":")
        digest, _, chain = rest.partition(":")
        if not first.isascii() or not first.isdigit():
            return None
        return cls(int(first), digest, chain, following)


class Head(NamedTuple):
    chain: ChainId
    first: int | None  # of the newest entry, or of the closing; None while there is only a genesis
    next: int  # where the next entry begins; of a closed chain, the closing's place
    digest: str  # of the newest entry's bytes, the closing's, or the genesis'
    anchor: Anchor | None
    closing: Closing | None = None  # of a closed chain: nothing follows in it
    reads_from: int | None = None  # set by a claim that has the log read from before `next`

    @property
    def hint(self) -> Hint | None:
        if self.first is None or self.closing is not None:
            return None
        return Hint(self.first, self.digest, chain_mark(self.chain), self.next)


def chain_mark(chain: ChainId) -> str:
    """What a hint calls its chain."""
    return f"{chain.topic_id}.{chain.incarnation}"


def after_genesis(chain: ChainId, body: bytes) -> Head:
    genesis = entries.decode(Genesis, body, chain.genesis)
    if not entries.belongs(genesis, chain):
        raise entries.broken(chain.genesis, "it is another chain's genesis")
    return Head(chain, None, genesis.first, entries.digest(body), None)


def after_entry(chain: ChainId, first: int, body: bytes) -> tuple[Entry, Head]:
    """Checks what one entry says of itself. Raises Halted, for a closing too."""
    found, head = after_slot(chain, first, body)
    if isinstance(found, Closing):
        raise entries.broken(chain.entry(first), "it is a closing where an entry was due")
    return found, head


def after_slot(chain: ChainId, first: int, body: bytes) -> tuple[Entry | Closing, Head]:
    """Checks what an entry, or the closing that ends a chain, says of itself. Raises Halted."""
    where = chain.entry(first)
    found = entries.decode_slot(body, where)
    if not entries.belongs(found, chain) or found.first != first:
        raise entries.broken(where, "it is another chain's entry, or another place's")
    if isinstance(found, Closing):
        return found, Head(chain, first, first, entries.digest(body), None, found)
    if found.next <= found.first or found.counted != found.next - found.first:
        raise entries.broken(where, f"it counts {found.counted} offsets in [{found.first}, {found.next})")
    return found, Head(chain, first, found.next, entries.digest(body), found.anchor)


def follows(head: Head, found: Entry | Closing) -> None:
    """Raises Halted unless `found` continues the chain after `head`."""
    if found.previous != head.digest:
        raise entries.broken(head.chain.entry(found.first), "it does not name the entry before it")


async def read_head(store: Store, chain: ChainId, hint: Hint | None, retry: Retry) -> Head | None:
    """The head, or None where the chain has no genesis; of a closed chain, its closing.

    Raises Halted for a chain that is broken, and not closed. What lies before the hint, or before the last
    entry, is not looked at: that is verify's.
    Requests: as head_behind, and the genesis.
    """
    genesis = await read(store, chain.genesis, retry)
    if genesis is None:
        closed = await closed_head(store, chain, retry)
        if closed is None and await last_slot(store, chain, 0, retry) is not None:
            raise entries.missing(chain.genesis, "there are entries, but no genesis")
        return closed
    return await head_behind(store, chain, genesis, hint, retry)


async def head_behind(store: Store, chain: ChainId, genesis: bytes, hint: Hint | None, retry: Retry) -> Head:
    """As read_head, of a chain whose genesis was read.

    Requests: with a hint, its entry, a list, and each newer entry. Without, the list of checkpoints, that of
    entries behind the newest, and the last entry. Where there is none, or PAGE are behind it, a search
    adds O(log entries).
    """
    try:
        head = after_genesis(chain, genesis)
        if hint and (near := await _hinted(store, chain, hint, retry)):
            return await _follow(store, near, retry)
        if last := await _behind_checkpoint(store, chain, retry):
            return last
        return await _follow(store, await _last(store, head, retry) or head, retry)
    except Halted:
        if (closed := await closed_head(store, chain, retry)) is None:
            raise
        return closed


async def closed_head(store: Store, chain: ChainId, retry: Retry) -> Head | None:
    """The closing that ends the chain, whatever lies before it; None for a chain that is not closed."""
    last = await last_slot(store, chain, 0, retry)
    body = None if last is None else await read(store, chain.entry(last), retry)
    if last is None or body is None:
        return None
    try:
        head = after_slot(chain, last, body)[1]
    except Halted:
        return None
    return head if head.closing else None


async def _follow(store: Store, head: Head, retry: Retry) -> Head:
    """To the end of the chain by entries. Raises Halted."""
    while head.closing is None:
        page = await _page(store, head.chain, head.next, retry)
        for first in page.firsts:
            # one that lies behind the next: either that was written since we looked, or it is missing
            while head.closing is None and head.next <= first:
                head = await _next(store, head, retry)
        if not page.more:
            break
    return head


async def _next(store: Store, head: Head, retry: Retry) -> Head:
    """Raises Halted where there is no entry behind `head`, or none that follows it."""
    chain = head.chain
    body = await read(store, chain.entry(head.next), retry)
    if body is None:
        raise entries.missing(chain.entry(head.next), "there are entries behind it")
    found, newer = after_slot(chain, head.next, body)
    follows(head, found)
    return newer


async def _behind_checkpoint(store: Store, chain: ChainId, retry: Retry) -> Head | None:
    """The head, by the name of the newest checkpoint; None where that leads to no entry, or far behind it."""
    place = await checkpoint.newest_place(store, chain, retry)
    page = None if place is None else await _page(store, chain, place, retry)
    if page is None or page.more or not page.firsts:
        return None
    last = page.firsts[-1]
    body = await read(store, chain.entry(last), retry)
    return None if body is None else after_slot(chain, last, body)[1]


class _Page(NamedTuple):
    firsts: list[int]  # of entries, in order
    more: bool  # there may be more behind it


async def _page(store: Store, chain: ChainId, start: int, retry: Retry) -> _Page:
    """The entries from `start` on that one request gives. Names that no entry has are left out."""

    async def attempt() -> list[str]:
        after = chain.entry(start - 1) if start else ""
        return [stat.key async for stat in store.list(chain.prefix, after=after, limit=PAGE)]

    keys = await retry.call(attempt)
    slots = [chain.slot(key) for key in keys]
    return _Page([first for first in slots if first is not None], len(keys) == PAGE)


async def _hinted(store: Store, chain: ChainId, hint: Hint, retry: Retry) -> Head | None:
    """None for a hint that may be another chain's. Raises Halted for one of this chain that is not met."""
    where = chain.entry(hint.first)
    body = await read(store, where, retry)
    ours = hint.chain == chain_mark(chain)
    if body is None:
        if ours:
            raise entries.missing(where, "the group's hint names it")
        return None
    if entries.digest(body) != hint.digest:
        if ours:
            raise entries.broken(where, "the group's hint names other bytes")
        return None
    return after_slot(chain, hint.first, body)[1]


async def _last(store: Store, head: Head, retry: Retry) -> Head | None:
    """Behind the last entry that is listed; None where there is at most one: following finds it."""
    last = await last_slot(store, head.chain, head.next, retry)
    if last is None or last == head.next:
        return None
    body = await read(store, head.chain.entry(last), retry)
    return None if body is None else after_slot(head.chain, last, body)[1]


async def first_after(store: Store, chain: ChainId, offset: int, retry: Retry) -> int | None:
    """The smallest `first` of an entry above `offset`. Names that no entry has are passed over."""

    async def attempt() -> int | None:
        after = chain.entry(offset) if offset >= 0 else ""
        while (key := await _key_behind(store, chain, after)) not in (None, chain.genesis):
            if (first := chain.slot(key)) is not None:
                return first
            after = key
        return None  # genesis.json sorts behind all entries

    return await retry.call(attempt)


async def _key_behind(store: Store, chain: ChainId, after: str) -> str | None:
    async for stat in store.list(chain.prefix, after=after, limit=1):
        return stat.key
    return None


async def last_slot(store: Store, chain: ChainId, start: int, retry: Retry) -> int | None:
    """`first` of the last entry listed from `start` on, by leaps and then halves; None if none."""
    known = await first_after(store, chain, start - 1, retry)
    if known is None:
        return None
    stride = STRIDE
    while (found := await first_after(store, chain, known + stride, retry)) is not None:
        known, stride = found, stride * 2
    low, high = known, known + stride  # there is an entry at `low`, none above `high`
    while low < high:
        middle = (low + high) // 2
        found = await first_after(store, chain, middle, retry)
        if found is None:
            high = middle
        else:
            low = found
    return low
