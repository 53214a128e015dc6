"""What still counts of a chain that is broken: found from its newest entry back, by the digests.

Each entry names the bytes of the one before it, so what a sound entry names is as its writer saw it. What no
such entry vouches for, and does not fit between those that count, is broken; offsets between them are holes.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.entries import Anchor, AsFound, Entry
from workers.ledger.halts import Halted
from workers.ledger.head import Hint, after_genesis, after_slot, chain_mark
from workers.ledger.names import ChainId
from workers.ledger.walk import listed
from workers.store.port import Store
from workers.store.retry import Retry

GENESIS = "genesis.json"
AHEAD = 32  # entries read at once

Range = tuple[int, int]


class Slot(NamedTuple):
    """An entry as it was found; `next` is None where it says nothing that can be believed."""

    first: int
    digest: str
    next: int | None = None
    previous: str = ""
    anchor: Anchor | None = None


class Remains(NamedTuple):
    chain: ChainId
    kept: tuple[Slot, ...]  # the entries that count, in their order
    begins: int | None  # the chain's first offset; None where its genesis does not say
    head: int  # up to here the kept entries count; the log's start where nothing says
    place: int  # the first name that is free behind everything
    previous: str  # digest of the newest entry as it was found, or of the genesis
    broken: tuple[AsFound, ...]
    holes: tuple[Range, ...]  # offsets before `head` that no kept entry counts
    anchor: Anchor | None  # of the last that counts


async def remains(store: Store, chain: ChainId, hint: Hint | None, start: int, retry: Retry) -> Remains:
    """Reads the whole chain. `start`: the log's first offset. Requests: one an entry, a list each thousand.

    Memory: some 500 bytes an entry.
    """
    genesis = await read(store, chain.genesis, retry)
    slots: list[Slot] = []
    keys = [stat.key async for stat in listed(store, chain.prefix, retry) if stat.key != chain.genesis]
    for at in range(0, len(keys), AHEAD):
        read_at_once = (_slot(store, chain, key, retry) for key in keys[at : at + AHEAD])
        slots += filter(None, await asyncio.gather(*read_at_once))
    return judge(chain, genesis, slots, hint, start)


async def _slot(store: Store, chain: ChainId, key: str, retry: Retry) -> Slot | None:
    """None for a key that is no entry's name, or is not there any more."""
    if (first := chain.slot(key)) is None:
        return None
    body = await read(store, key, retry)
    return None if body is None else slot_of(chain, first, body)


def slot_of(chain: ChainId, first: int, body: bytes) -> Slot:
    digest = entries.digest(body)
    try:
        found, _ = after_slot(chain, first, body)
    except Halted:
        return Slot(first, digest)
    if not isinstance(found, Entry):
        return Slot(first, digest)  # a closing that others lie behind closed nothing
    return Slot(first, digest, found.next, found.previous, found.anchor)


def judge(
    chain: ChainId, genesis: bytes | None, slots: Sequence[Slot], hint: Hint | None, start: int
) -> Remains:
    """`slots` in their order. A hint of this chain vouches for the entry that it names."""
    ours = hint if hint is not None and hint.chain == chain_mark(chain) else None
    kept = _kept(slots, ours)
    begins, vouched = _beginning(chain, genesis, kept)
    head = _end(kept, start if begins is None else begins)
    there = {slot.first for slot in slots}
    place = max([head, *(first + 1 for first in there)])
    absent = {slot.next for slot in kept} | ({begins} - {None})
    if ours is not None:
        absent.add(ours.first)
        # where the writer of what the hint names would go on: it must find the closing
        place = max(place, ours.first + 1, ours.next or 0)
    broken: dict[str, str | None] = {}
    broken |= {_name(first): None for first in absent if first is not None and first < place}
    broken |= {_name(slot.first): slot.digest for slot in slots}
    for slot in kept:
        del broken[_name(slot.first)]
    if not vouched:
        broken[GENESIS] = None if genesis is None else entries.digest(genesis)
    return Remains(
        chain=chain,
        kept=kept,
        begins=begins,
        head=head,
        place=place,
        previous=slots[-1].digest if slots else entries.digest(genesis or b""),
        broken=tuple(AsFound(name, broken[name]) for name in sorted(broken)),
        holes=tuple(_holes(kept, begins)),
        anchor=kept[-1].anchor if kept else None,
    )


def _kept(slots: Sequence[Slot], hint: Hint | None) -> tuple[Slot, ...]:
    sound = [slot for slot in slots if slot.next is not None and not _denied(slot, hint)]
    before = _linked(sound)
    depths: list[int] = []  # of each: how many there are in the unbroken line that ends with it
    for link in before:
        depths.append(1 if link is None else depths[link] + 1)
    kept: list[Slot] = []
    at: int | None = len(sound)
    while at is not None:
        fitting = [index for index in range(at) if _fits(sound[index], kept[-1] if kept else None)]
        at = max(fitting, default=None)
        if at is None:
            break
        nearest = sound[at].first
        at = max((index for index in fitting if _reaches(sound[index], nearest)), key=depths.__getitem__)
        kept.append(sound[at])
        while (link := before[at]) is not None:  # what lies between two that are linked was put there
            at = link
            kept.append(sound[at])
    return tuple(reversed(kept))


def _linked(slots: Sequence[Slot]) -> list[int | None]:
    """Of each, the index of the one that it follows, by digest and offset."""
    by_digest = {slot.digest: index for index, slot in enumerate(slots)}
    links: list[int | None] = []
    for slot in slots:
        named = by_digest.get(slot.previous)
        links.append(named if named is not None and slots[named].next == slot.first else None)
    return links


def _denied(slot: Slot, hint: Hint | None) -> bool:
    return hint is not None and slot.first == hint.first and slot.digest != hint.digest


def _fits(slot: Slot, behind: Slot | None) -> bool:
    if behind is None or slot.next is None or slot.next < behind.first:
        return True
    return slot.next == behind.first and slot.digest == behind.previous


def _reaches(slot: Slot, offset: int) -> bool:
    return slot.first == offset or (slot.next is not None and slot.next > offset)


def _beginning(chain: ChainId, genesis: bytes | None, kept: Sequence[Slot]) -> tuple[int | None, bool]:
    """The chain's first offset, and whether its genesis is what its entries follow."""
    try:
        head = None if genesis is None else after_genesis(chain, genesis)
    except Halted:
        head = None
    if head is None:
        return None, False
    if kept and (
        kept[0].first < head.next or (kept[0].first == head.next and kept[0].previous != head.digest)
    ):
        return None, False
    return head.next, True


def _end(kept: Sequence[Slot], begins: int) -> int:
    newest = kept[-1].next if kept else None
    return begins if newest is None else newest


def _holes(kept: Sequence[Slot], begins: int | None) -> Iterable[Range]:
    due = begins
    for slot in kept:
        if due is not None and due < slot.first:
            yield due, slot.first
        due = slot.next


def _name(first: int) -> str:
    return f"{first:020d}.json"
