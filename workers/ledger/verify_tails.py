"""Holds checkpoints against the ledger: what they say was there is there, so that no tail was cut.

Per chain and place that holds checkpoints, the newest true one is enough: the digest that it names stands for
everything before it, and the steward signs nothing newer for a chain that has lost what an older one names.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from workers.ledger import checkpoint as checkpoints
from workers.ledger.chain import read
from workers.ledger.checkpoint import Forged, Vouched
from workers.ledger.entries import digest
from workers.ledger.head import closed_head
from workers.ledger.names import ChainId
from workers.ledger.verify_listing import Listed, Listing
from workers.ledger.verify_report import Kind, Report
from workers.ledger.walk import ROOT, place
from workers.sealing.signing import Trust
from workers.store.port import Store
from workers.store.retry import Retry


class Sources(NamedTuple):
    """Where checkpoints come from, and by whose keys they are believed."""

    stores: Sequence[Store]
    trust: Trust
    files: Mapping[str, bytes] = {}  # name → bytes: signed checkpoints, one a line


class Tails:
    """Memory: a checkpoint a chain and source; of files, every line."""

    def __init__(self, found: Sequence[Vouched], *, start: bool) -> None:
        """`start`: chains are read from their newest checkpoint on."""
        self._found = found
        self._places: dict[tuple[str, int], list[Vouched]] = {}
        for each in found:
            named = each.checkpoint.chain.prefix, each.checkpoint.first
            self._places.setdefault(named, []).append(each)
        newest: dict[str, Vouched] = {}
        for each in found:
            prefix = each.checkpoint.chain.prefix
            if prefix not in newest or newest[prefix].checkpoint.first < each.checkpoint.first:
                newest[prefix] = each
        self.starts: Mapping[str, Vouched] = newest if start else {}

    @classmethod
    async def gathered(cls, sources: Sources, retry: Retry, report: Report, *, start: bool) -> "Tails":
        """Requests: two lists and a GET a chain and bucket. What is false becomes a finding."""
        found: list[Vouched] = []
        false: list[Forged] = []
        for store in sources.stores:
            async for chain in _chains(store, retry, false):
                vouched = await checkpoints.newest(store, chain, sources.trust, retry, false)
                found += [] if vouched is None else [vouched]
        for name, body in sources.files.items():
            for each in checkpoints.lines(body, name, sources.trust).values():
                if isinstance(each, Vouched):
                    found.append(each)
                else:
                    false.append(each)
        for where, why in false:
            report.found(Kind.FORGED_CHECKPOINT, where, why)
        return cls(found, start=start)

    def of(self, chain: ChainId, first: int) -> Sequence[Vouched]:
        """Those that name that place."""
        return self._places.get((chain.prefix, first), ())

    async def check(self, ledger: Store, retry: Retry, report: Report) -> None:
        """After the chains were read: an entry that came meanwhile is no fault, one that went is.

        What a chain's closing names as it is now is a note. Requests: a GET a checkpoint.
        """
        for vouched in self._found:
            found = vouched.checkpoint
            key = found.chain.entry(found.first)
            body = await read(ledger, key, retry)
            report.checkpoints += 1
            if checkpoints.met(found, body):
                continue
            own = Report()
            if body is None:
                own.found(Kind.CUT_TAIL, key, f"{vouched.where} says that it was there, and it is gone")
            else:
                own.found(Kind.OTHER_THAN_CHECKPOINT, key, f"{vouched.where} names other bytes")
            if await _named_as_broken(ledger, found.chain, key, body, retry):
                own.acknowledge(f"the closing of {found.chain.prefix}")
            report.add(own)


async def behind(
    store: Store, after: str, starts: Mapping[str, Vouched], retry: Retry
) -> AsyncIterator[Listed]:
    """As Listing of the ledger; of a chain in `starts`, only what lies behind that checkpoint's entry."""
    jump: str | None = after
    while jump is not None:
        listing, jump = Listing(store, ROOT, retry, after=jump), None
        async for listed in listing:
            found = place(listed.key)
            vouched = None if found is None else starts.get(found.chain.prefix)
            if found is not None and vouched is not None:
                last = found.chain.entry(vouched.checkpoint.first)
                if listed.key <= last:
                    jump = last
                    break
            yield listed


async def _chains(store: Store, retry: Retry, false: list[Forged]) -> AsyncIterator[ChainId]:
    """Of which the bucket has a name of a checkpoint. One request each."""
    after = ""
    while (key := await checkpoints.first_key(store, checkpoints.ROOT, after, retry)) is not None:
        found = checkpoints.place(key)
        if found is None:
            false.append(Forged(f"{store.name}/{key}", "no checkpoint has such a name"))
            after = key
        else:
            yield found[0]
            after = f"{checkpoints.prefix(found[0])}~"  # behind all names of checkpoints of the chain


async def _named_as_broken(ledger: Store, chain: ChainId, key: str, body: bytes | None, retry: Retry) -> bool:
    closed = await closed_head(ledger, chain, retry)
    if closed is None or closed.closing is None:
        return False
    as_found = key.removeprefix(chain.prefix), None if body is None else digest(body)
    return any((one.name, one.sha256) == as_found for one in closed.closing.broken)
