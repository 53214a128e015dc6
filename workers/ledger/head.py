"""Finds the head of an intake chain: the newest entry, after which the next one is written.

A hint (left with Kafka's committed offset) may name an entry near the head. It is believed only if that entry
exists with that digest; otherwise the chain is searched. Either way the last steps follow `next` by entries.
"""

from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Anchor, Entry, Genesis
from workers.ledger.names import ChainId
from workers.store.port import Store
from workers.store.retry import Retry

STRIDE = 1 << 16  # offsets; the first leap of a search, doubled at each


class Hint(NamedTuple):
    """Names an entry: `first` and its bytes' SHA-256 in hex."""

    first: int
    digest: str

    def __str__(self) -> str:
        return f"{self.first}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> "Hint | None":
        first, _, digest = text.partition(":")
        return cls(int(first), digest) if first.isascii() and first.isdigit() else None


class Head(NamedTuple):
    chain: ChainId
    first: int | None  # of the newest entry; None while there is only a genesis
    next: int  # where the next entry begins
    digest: str  # of the newest entry's bytes, or the genesis'
    anchor: Anchor | None

    @property
    def hint(self) -> Hint | None:
        return None if self.first is None else Hint(self.first, self.digest)


def after_genesis(chain: ChainId, body: bytes) -> Head:
    genesis = entries.decode(Genesis, body, chain.genesis)
    if not entries.belongs(genesis, chain):
        raise entries.broken(chain.genesis, "it is another chain's genesis")
    return Head(chain, None, genesis.first, entries.digest(body), None)


def after_entry(chain: ChainId, first: int, body: bytes) -> tuple[Entry, Head]:
    """Checks what one entry says of itself. Raises Fatal."""
    where = chain.entry(first)
    entry = entries.decode(Entry, body, where)
    if not entries.belongs(entry, chain) or entry.first != first:
        raise entries.broken(where, "it is another chain's entry, or another place's")
    if entry.next <= entry.first or entry.counted != entry.next - entry.first:
        raise entries.broken(where, f"it counts {entry.counted} offsets in [{entry.first}, {entry.next})")
    return entry, Head(chain, first, entry.next, entries.digest(body), entry.anchor)


def follows(head: Head, entry: Entry) -> None:
    """Raises Fatal unless `entry` continues the chain after `head`."""
    if entry.previous != head.digest:
        raise entries.broken(head.chain.entry(entry.first), "it does not name the entry before it")


async def read_head(store: Store, chain: ChainId, hint: Hint | None, retry: Retry) -> Head | None:
    """The head, or None where the chain has no genesis. Raises Fatal for a broken chain.

    Requests: genesis, the hint's entry, each newer one, one not found; a search adds O(log entries).
    """
    genesis = await read(store, chain.genesis, retry)
    if genesis is None:
        return None
    head = after_genesis(chain, genesis)
    near = await _hinted(store, chain, hint, retry) if hint else None
    if near is None:
        first = await _search(store, chain, head.next, retry)
        if first is not None and first != head.next:
            body = await read(store, chain.entry(first), retry)
            near = None if body is None else after_entry(chain, first, body)[1]
    head = near or head
    while (body := await read(store, chain.entry(head.next), retry)) is not None:
        entry, newer = after_entry(chain, head.next, body)
        follows(head, entry)
        head = newer
    return head


async def _hinted(store: Store, chain: ChainId, hint: Hint, retry: Retry) -> Head | None:
    body = await read(store, chain.entry(hint.first), retry)
    if body is None or entries.digest(body) != hint.digest:
        return None
    return after_entry(chain, hint.first, body)[1]


async def _search(store: Store, chain: ChainId, genesis_first: int, retry: Retry) -> int | None:
    """`first` of the last entry listed, by leaps and then halves; None where there is no entry."""

    async def first_after(offset: int) -> int | None:
        """The smallest `first` above `offset`."""

        async def attempt() -> int | None:
            async for stat in store.list(
                chain.prefix, after=chain.entry(offset) if offset >= 0 else "", limit=1
            ):
                name = stat.key.removeprefix(chain.prefix).removesuffix(".json")
                return int(name) if name.isdigit() else None  # genesis.json sorts behind all entries
            return None

        return await retry.call(attempt)

    known = await first_after(genesis_first - 1)
    if known is None:
        return None
    stride = STRIDE
    while (found := await first_after(known + stride)) is not None:
        known, stride = found, stride * 2
    low, high = known, known + stride  # there is an entry at `low`, none above `high`
    while low < high:
        middle = (low + high) // 2
        found = await first_after(middle)
        if found is None:
            high = middle
        else:
            low = found
    return low
