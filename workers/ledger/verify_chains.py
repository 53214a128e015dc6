"""Reads every chain from its genesis to its head, and holds each entry against the one before it."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import NamedTuple

from workers.errors import Fatal
from workers.ledger import entries
from workers.ledger.chain import read
from workers.ledger.checkpoint import Sums
from workers.ledger.entries import FIRST_INCARNATION, After, Closing, Entry, Genesis
from workers.ledger.head import Head, after_slot, closed_head
from workers.ledger.names import ChainId
from workers.ledger.verify_entries import Slot, judged
from workers.ledger.verify_listing import Listed, in_order
from workers.ledger.verify_objects import Objects
from workers.ledger.verify_report import Kind, NoteKind, Report
from workers.ledger.verify_state import ChainEnd, Progress, StateFile
from workers.ledger.verify_tails import Tails, behind
from workers.ledger.walk import place
from workers.store.port import Store
from workers.store.retry import Retry

SKEW = 60_000  # ms by which two workers' clocks may differ without a note
GENESIS = "genesis.json"


class Found(NamedTuple):
    listed: Listed
    chain: ChainId | None  # None for a key that fits no chain
    slot: Slot | None  # None where there is no entry to link
    report: Report


class Excuses(NamedTuple):
    """What the closing of a chain names as broken."""

    closing: str  # its key
    broken: Mapping[str, str | None]  # name in the chain → digest as it was found, None where nothing was

    def cover(self, name: str, digest: str | None) -> bool:
        return name in self.broken and self.broken[name] == digest


class Chains:
    """`ahead` entries are read at once, and judged in their order. Memory: those, and a line a chain."""

    def __init__(
        self,
        ledger: Store,
        retry: Retry,
        objects: Objects,
        progress: Progress,
        state: StateFile | None,
        *,
        ahead: int,
        told: Callable[[Report], None],
        tails: Tails,
    ) -> None:
        self._ledger, self._retry, self._objects = ledger, retry, objects
        self._progress, self._state = progress, state
        self._ahead, self._told, self._tails = ahead, told, tails
        self._excuses: tuple[str, Excuses] = "", Excuses("", {})  # of the chain with that prefix

    async def run(self) -> None:
        begun = self._progress.chains  # an audit that goes on has passed over what it passed over then
        starts = {prefix: each for prefix, each in self._tails.starts.items() if prefix not in begun}
        listing = behind(self._ledger, self._progress.ledger or "", starts, self._retry)
        async with aclosing(in_order(listing, self._read, ahead=self._ahead)) as all_found:
            async for found in all_found:
                await self._take(found)
                if self._state:
                    self._state.keep(self._progress)
                self._told(self._progress.chained)
        self._note_topics()

    async def _read(self, listed: Listed) -> Found:
        key, report = listed.key, Report()
        if listed.markers:
            report.found(Kind.DELETED_ENTRY, key, "it has a delete marker")
        if listed.versions > 1:
            report.found(Kind.OVERWRITTEN_ENTRY, key, f"it has {listed.versions} versions")
        found = place(key)
        if not listed.there:
            return Found(listed, found and found.chain, None, report)
        if found is None:
            report.found(Kind.STRANGE_KEY, key, "no chain has such a name")
            return Found(listed, None, None, report)
        if found.name == GENESIS:
            return Found(listed, found.chain, None, report)
        first = found.chain.slot(key)
        if first is None:
            report.found(Kind.STRANGE_KEY, key, "no entry has such a name")
            return Found(listed, found.chain, None, report)
        body = await read(self._ledger, key, self._retry)
        if body is None:
            report.found(Kind.VANISHED_ENTRY, key, "it was listed, and is not there")
            return Found(listed, found.chain, None, report)
        slot = judged(found.chain, first, body, report)
        if isinstance(slot.document, Entry):
            report.add(await self._objects.check(found.chain, slot.document))
        return Found(listed, found.chain, slot, report)

    async def _take(self, found: Found) -> None:
        """Nothing is changed before the last await: the progress is whole at any time."""
        report = Report()
        if found.chain is None:
            report.add(found.report)
        else:
            excuses = await self._excuses_of(found.chain)
            end = self._progress.chains.get(found.chain.prefix)
            if end is None:
                end = await self._begin(found.chain, excuses, report)
                report.chains += 1
            if found.slot is not None:
                self._link(end, found.slot, excuses, found.report)
            report.add(found.report)
            self._progress.chains[found.chain.prefix] = end
        self._progress.chained.add(report)
        self._progress.ledger = found.listed.key

    async def _excuses_of(self, chain: ChainId) -> Excuses:
        if self._excuses[0] != chain.prefix:
            closed = await closed_head(self._ledger, chain, self._retry)
            excuses = Excuses("", {})
            if closed is not None and closed.closing is not None:
                broken = {one.name: one.sha256 for one in closed.closing.broken}
                excuses = Excuses(chain.entry(closed.closing.first), broken)
            self._excuses = chain.prefix, excuses
        return self._excuses[1]

    async def _begin(self, chain: ChainId, excuses: Excuses, report: Report) -> ChainEnd:
        own = Report()
        body = await read(self._ledger, chain.genesis, self._retry)
        genesis = None if body is None else self._genesis(chain, body, own)
        if body is None:
            own.found(Kind.MISSING_GENESIS, chain.genesis, "the chain has entries but no beginning")
        if genesis is not None:
            await self._check_opened(chain, genesis, own)
        digest = None if body is None else entries.digest(body)
        if own.findings and excuses.cover(GENESIS, digest):
            own.acknowledge(excuses.closing)
        report.add(own)
        if (vouched := self._tails.starts.get(chain.prefix)) is not None:
            start = vouched.checkpoint
            report.vouched_chains += 1
            report.vouched_entries += start.sums.entries
            report.vouched_offsets += start.sums.offsets
            return ChainEnd(
                *chain,
                head=start.next,
                next=None if start.closed else start.next,
                digest=start.sha256,
                closing=chain.entry(start.first) if start.closed else None,
                since=start.next,
                sums=start.sums,
            )
        first = None if genesis is None else genesis.first
        return ChainEnd(*chain, head=first, next=first, digest=digest, sums=Sums())

    def _genesis(self, chain: ChainId, body: bytes, report: Report) -> Genesis | None:
        try:
            genesis = entries.decode(Genesis, body, chain.genesis)
        except Fatal as error:
            report.found(Kind.BROKEN_GENESIS, chain.genesis, error.message)
            return None
        if not entries.belongs(genesis, chain):
            report.found(Kind.BROKEN_GENESIS, chain.genesis, "it is another chain's genesis")
            return None
        if entries.encode(genesis) != body:
            report.found(Kind.NOT_CANONICAL, chain.genesis, "its bytes are not those of what it says")
        return genesis

    async def _check_opened(self, chain: ChainId, genesis: Genesis, report: Report) -> None:
        """A chain that is not a log's first must begin where a closing says so."""
        after = genesis.after
        if not isinstance(after, After):
            if chain.incarnation != FIRST_INCARNATION:
                report.found(Kind.UNOPENED_INCARNATION, chain.genesis, "it names no closing")
            return
        before = ChainId(chain.topic, after.topic_id, after.incarnation, chain.partition)
        closed = await self._closed(before)
        closing = closed and closed.closing
        if not closed or not closing or closed.digest != after.closing:
            report.found(
                Kind.UNOPENED_INCARNATION, chain.genesis, f"no such closing ends the chain {before.prefix}"
            )
        elif closing.opens_chain != chain or closing.opens.first != genesis.first:
            report.found(
                Kind.UNOPENED_INCARNATION,
                chain.genesis,
                f"{before.entry(closing.first)} opens {closing.opens_chain.prefix} at {closing.opens.first}",
            )

    async def _closed(self, chain: ChainId) -> Head | None:
        """As closed_head, and also where something lies behind a closing that was read."""
        end = self._progress.chains.get(chain.prefix)
        if end is None or end.closing is None:
            return await closed_head(self._ledger, chain, self._retry)
        body, first = await read(self._ledger, end.closing, self._retry), chain.slot(end.closing)
        return None if body is None or first is None else after_slot(chain, first, body)[1]

    def _link(self, end: ChainEnd, slot: Slot, excuses: Excuses, report: Report) -> None:
        if end.closing is not None:
            report.found(Kind.ENTRY_AFTER_CLOSING, slot.key, f"{end.closing} closed the chain")
            return
        links = Report()
        self._check_place(end, slot, links)
        document = slot.document
        if isinstance(document, Entry) and document.committed_at < end.committed_at - SKEW:
            report.note(
                NoteKind.CLOCK_WENT_BACK,
                slot.key,
                f"{end.committed_at - document.committed_at} ms before the one before it",
            )
        expected = None if end.next is None else f"{end.next:020d}.json"
        name = slot.key.rpartition("/")[2]
        if links.findings and (end.excused or (expected and excuses.cover(expected, None))):
            links.acknowledge(excuses.closing)
        report.add(links)
        end.excused = excuses.cover(name, slot.digest)
        if end.excused and report.findings:
            report.acknowledge(excuses.closing)
        sound = not links.findings and not end.excused
        _move(end, slot)
        self._sum_up(end, slot, report, sound=sound)
        if isinstance(document, Closing):
            lost = "nobody knows how many" if document.lost is None else document.lost
            report.note(
                NoteKind.CLOSED,
                slot.key,
                f"{document.cause}, by {document.actor}: {document.reason}; lost: {lost}; "
                f"goes on in {document.opens_chain.prefix}",
            )

    def _sum_up(self, end: ChainEnd, slot: Slot, report: Report, *, sound: bool) -> None:
        """Behind a fault nobody knows what the chain should hold: nothing is said of it a second time."""
        if end.sums is None or slot.document is None or not sound:
            end.sums = None
            return
        if isinstance(slot.document, Entry):
            end.sums = end.sums.plus(slot.document)
        for where, checkpoint, _ in self._tails.of(end.chain, slot.first):
            if checkpoint.sha256 == slot.digest and checkpoint.sums != end.sums:
                report.found(Kind.OTHER_THAN_CHECKPOINT, slot.key, f"{where} names other sums")

    def _check_place(self, end: ChainEnd, slot: Slot, report: Report) -> None:
        """Where the slot lies behind what was read before it, and whether it names that."""
        document, digests = slot.document, (end.digest, end.older)
        if end.next is None:
            return
        if end.spare is not None and document and (slot.first, document.previous) == end.spare:
            return
        if slot.first > end.next:
            report.found(Kind.GAP, slot.key, f"offsets [{end.next}, {slot.first}) are in no entry")
        elif slot.first < end.next:
            report.found(Kind.OVERLAP, slot.key, f"offsets [{slot.first}, {end.next}) are in two entries")
        elif document is not None and document.previous != end.digest:
            if document.previous == digests[1]:
                report.found(Kind.FORK, slot.key, "it follows the one before the one before it")
            else:
                report.found(Kind.BROKEN_LINK, slot.key, "it does not name the one before it by its digest")

    def _note_topics(self) -> None:
        """Chains of one topic's name and partition, and two topic ids, that are both still open."""
        open_chains: dict[tuple[str, int], dict[str, ChainEnd]] = {}
        for end in self._progress.chains.values():
            if end.closing is None:
                open_chains.setdefault((end.topic, end.partition), {})[end.topic_id] = end
        for ends in open_chains.values():
            if len(ends) > 1:
                self._progress.chained.note(
                    NoteKind.TOPIC_RECREATED,
                    min(end.chain.genesis for end in ends.values()),
                    f"chains of the topics {', '.join(sorted(ends))} are open",
                )


def _move(end: ChainEnd, slot: Slot) -> None:
    """Goes on behind the slot."""
    document = slot.document
    if end.next is not None and end.digest is not None and slot.first < end.next:
        end.spare = (end.next, end.digest)  # of two that overlap, either may be the one that others follow
    else:
        end.spare = None
    end.older, end.digest = end.digest, slot.digest
    end.next = None
    if isinstance(document, Entry):
        end.next = document.next
        end.head = max(end.head or 0, document.next)
        end.committed_at = max(end.committed_at, document.committed_at)
    elif isinstance(document, Closing):
        end.closing = slot.key
