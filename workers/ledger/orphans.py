"""Tells orphans from objects that are listed or may yet be: an orphan's attempt can never commit.

An attempt commits by taking the place `{first}.json` of its chain, and one writer gets it (see
docs/architecture.md, Flush). So an object named for (chain, first) is an orphan once that place is taken by
another attempt, lies inside another entry's range, or behind the chain's closing. An output of a unit's
consumer is one once its entry's place is taken by an entry that does not list it. Each of these, once true,
stays true, so it does not matter when it is read. In doubt an object is kept.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import data_name, entries
from workers.ledger.chain import read
from workers.ledger.data_name import DataName, OutputName
from workers.ledger.entries import Closing, Entry
from workers.ledger.head import STRIDE, Head, after_slot, read_head
from workers.ledger.names import ChainId, unit_prefix
from workers.ledger.unit_places import Standing, UnitPlaces
from workers.ledger.walk import PAGE, listed
from workers.store.port import Stat, Store
from workers.store.retry import Retry

PLACES_MAX = 100_000  # remembered at once, about 400 bytes each


class Kind(StrEnum):
    LISTED = "listed"  # its attempt committed
    PENDING = "pending"  # its attempt may still commit
    ORPHAN = "orphan"  # its attempt never will
    STRANGE = "strange"  # nothing writes such a name
    FOREIGN = "foreign"  # the ledger has no such chain: is this the ledger of that bucket?
    UNPROVEN = "unproven"  # the ledger is broken where it would have to say


class State(StrEnum):
    """Of a place in a chain."""

    TAKEN = "taken"  # by an entry
    INSIDE = "inside"  # in the middle of another entry's range
    CLOSED = "closed"  # the chain's closing stands there, or before it
    FREE = "free"
    NO_CHAIN = "no_chain"
    BROKEN = "broken"


class Place(NamedTuple):
    state: State
    why: str  # for people
    attempt: str = ""  # of the entry that has taken it
    doubt: str | None = None  # why that entry proves nothing against others; None: nobody has asked


class Judged(NamedTuple):
    stat: Stat
    name: DataName | OutputName | None
    kind: Kind
    why: str

    @property
    def chain(self) -> str:
        """Where the chain lies that would list it; empty for a strange name."""
        match self.name:
            case None:
                return ""
            case OutputName():
                return unit_prefix(self.name.consumer)
            case _:
                return self.name.chain.prefix


KIND_OF = {
    State.INSIDE: Kind.ORPHAN,
    State.CLOSED: Kind.ORPHAN,
    State.FREE: Kind.PENDING,
    State.NO_CHAIN: Kind.FOREIGN,
    State.BROKEN: Kind.UNPROVEN,
}
KIND_OF_OUTPUT = {
    Standing.LISTED: Kind.LISTED,
    Standing.PASSED_OVER: Kind.ORPHAN,
    Standing.FREE: Kind.PENDING,
    Standing.BEYOND: Kind.UNPROVEN,
    Standing.BROKEN: Kind.UNPROVEN,
}


def classify(name: DataName | None, place: Place | None) -> tuple[Kind, str]:
    """What an object is, and why, by its name and by the place in the ledger that its attempt would take."""
    if name is None or place is None:
        return Kind.STRANGE, "nothing writes such a name"
    if place.state is not State.TAKEN:
        return KIND_OF[place.state], place.why
    if place.attempt == name.attempt:
        return Kind.LISTED, place.why
    if place.doubt != "":
        return Kind.UNPROVEN, place.doubt or "the entry in its place was not examined"
    return Kind.ORPHAN, place.why


class Judge:
    """Judges objects by the ledger as it is during one pass; only reads.

    Requests: one a (chain, first), and for each chain that has other than listed objects its head, once; an
    orphan's place takes about two more; an output's chain is read whole. Memory: PLACES_MAX places, and
    unit_places.KEPT outputs.
    """

    def __init__(self, ledger: Store, retry: Retry) -> None:
        self._ledger = ledger
        self._retry = retry
        self._places: OrderedDict[tuple[ChainId, int], Place] = OrderedDict()
        self._heads: dict[ChainId, Head | Place] = {}  # a Place where there is no head to go by
        self._units = UnitPlaces(ledger, retry)

    async def judge(self, stat: Stat) -> Judged:
        """Raises Retryable where the ledger can't be read."""
        name = data_name.parse(stat.key)
        if name is None:
            return await self._judge_output(stat)
        place = await self._place(name.chain, name.first)
        if place.state is State.TAKEN and place.attempt != name.attempt and place.doubt is None:
            place = place._replace(doubt=await self._doubt(name.chain, name.first))
            self._remember(name.chain, name.first, place)
        return Judged(stat, name, *classify(name, place))

    async def _judge_output(self, stat: Stat) -> Judged:
        output = data_name.parse_output(stat.key)
        if output is None:
            return Judged(stat, None, *classify(None, None))
        standing, why = await self._units.of(output)
        return Judged(stat, output, KIND_OF_OUTPUT[standing], why)

    async def _place(self, chain: ChainId, first: int) -> Place:
        place = self._places.get((chain, first))
        if place is None:
            place = await self._look(chain, first)
        self._remember(chain, first, place)
        return place

    def _remember(self, chain: ChainId, first: int, place: Place) -> None:
        self._places[chain, first] = place
        self._places.move_to_end((chain, first))
        if len(self._places) > PLACES_MAX:
            self._places.popitem(last=False)

    async def _look(self, chain: ChainId, first: int) -> Place:
        try:
            taken = await self._taken(chain, first)
            return taken or await self._free(chain, first)
        except Fatal as error:
            return Place(State.BROKEN, error.message)

    async def _taken(self, chain: ChainId, first: int) -> Place | None:
        """By what stands at the place; None where nothing does. Raises Fatal for what can't be believed."""
        body = await read(self._ledger, chain.entry(first), self._retry)
        if body is None:
            return None
        found, _ = after_slot(chain, first, body)
        if isinstance(found, Closing):
            return _closed(found)
        for stored in found.objects:
            name = data_name.parse(stored.key)
            if name is None or (name.chain, name.first, name.attempt) != (chain, first, found.attempt):
                raise entries.broken(
                    chain.entry(first), f"it lists {stored.key}, which is not of its attempt"
                )
        return Place(State.TAKEN, f"attempt {found.attempt} has committed at {first}", found.attempt)

    async def _free(self, chain: ChainId, first: int) -> Place:
        """By what the chain has around a place where nothing stands. Raises Fatal for a broken chain."""
        head = await self._head(chain)
        if isinstance(head, Place):
            return head
        if head.closing is not None and head.next < first:
            return _closed(head.closing)
        if head.next <= first:
            return Place(State.FREE, f"the chain ends at {head.next}: its attempt may still commit")
        before = await self._last_up_to(chain, first)
        if before == first:  # written since we looked
            return await self._taken(chain, first) or Place(State.BROKEN, "its place comes and goes")
        # An entry was here and is gone, or one covers the place: only the latter makes an orphan
        covering = None if before is None else await self._entry(chain, before)
        if covering is None or covering.next <= first:
            raise entries.missing(chain.entry(first), "no entry has this offset, and the chain goes on")
        if doubt := await self._doubt(chain, covering.first):
            return Place(State.BROKEN, doubt)
        return Place(State.INSIDE, f"the entry [{covering.first}, {covering.next}) holds its offsets")

    async def _head(self, chain: ChainId) -> Head | Place:
        if chain not in self._heads:
            self._heads[chain] = await self._read_head(chain)
        return self._heads[chain]

    async def _read_head(self, chain: ChainId) -> Head | Place:
        try:
            head = await read_head(self._ledger, chain, None, self._retry)
        except Fatal as error:
            return Place(State.BROKEN, error.message)
        return head or Place(State.NO_CHAIN, f"there is no chain {chain.prefix}")

    async def _doubt(self, chain: ChainId, first: int) -> str:
        """Why the entry at `first` may be a forged one; empty if the chain holds on to it by its digest."""
        try:
            head = await self._head(chain)
            if isinstance(head, Place):
                return head.why
            body = await read(self._ledger, chain.entry(first), self._retry)
            entry = None if body is None else after_slot(chain, first, body)[0]
            if body is None or not isinstance(entry, Entry):
                return f"the entry at {first} is there no longer"
            following = await read(self._ledger, chain.entry(entry.next), self._retry)
            if following is None:
                return "" if head.next <= entry.next else f"no entry follows the one at {first}"
            if after_slot(chain, entry.next, following)[0].previous != entries.digest(body):
                return f"the entry behind the one at {first} names other bytes"
        except Fatal as error:
            return error.message
        return ""

    async def _entry(self, chain: ChainId, first: int) -> Entry | None:
        body = await read(self._ledger, chain.entry(first), self._retry)
        found = None if body is None else after_slot(chain, first, body)[0]
        return found if isinstance(found, Entry) else None

    async def _last_up_to(self, chain: ChainId, first: int) -> int | None:
        """The last place at or before `first` that is taken. Requests: one, where batches are large."""
        span = STRIDE
        while True:
            start = max(0, first - span)
            found = await self._last_between(chain, start, first)
            if found is not None or start == 0:
                return found
            span *= 8

    async def _last_between(self, chain: ChainId, start: int, end: int) -> int | None:
        after = chain.entry(start - 1) if start else ""
        last = None
        while True:

            async def page(after: str = after) -> list[str]:
                found = self._ledger.list(chain.prefix, after=after, limit=PAGE)
                return [stat.key async for stat in found]

            keys = await self._retry.call(page)
            for key in keys:
                if key > chain.entry(end):
                    return last
                if (place := chain.slot(key)) is not None:
                    last = place
            if len(keys) < PAGE:
                return last
            after = keys[-1]


def _closed(closing: Closing) -> Place:
    return Place(State.CLOSED, f"the chain was closed at {closing.first}")


async def judged(ledger: Store, data: Store, retry: Retry, since: int = 0) -> AsyncIterator[Judged]:
    """Every object of the archive. Those modified before `since` (ms since the epoch) pass for listed.

    Raises Retryable where a bucket can't be read. Memory: that of a Judge, and a page of the list.
    """
    judge = Judge(ledger, retry)
    async for stat in listed(data, data_name.ROOT, retry):
        if stat.modified < since:
            yield Judged(stat, None, Kind.LISTED, "an earlier pass found it listed")
        else:
            yield await judge.judge(stat)
