"""Between the group and the Owner: claims at an assignment, drops at a revocation, and no chunk out of turn.

A tenure is one assignment of partitions to us; in it a partition is claimed, maybe more than once. What was
fetched for an older claim is dropped here: an Owner sees every offset from its claim on, once and in order.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping

from workers.errors import Fatal
from workers.stream.chunk import Chunk, Owner

CANCEL_TIMEOUT = 5.0  # seconds that a revocation waits for a cancelled claim
NO_TENURE = 0

# tenure, number of the claim, {partition: offset}: seek there and fetch; {partition: None}: fetch no more
Begin = Callable[[int, int, Mapping[int, int | None]], Awaitable[None]]
Crash = Callable[[BaseException], Awaitable[None]]


class Tenancy:
    def __init__(self, topic: str, owner: Owner, *, begin: Begin, crash: Crash) -> None:
        self._topic = topic
        self._owner = owner
        self._begin = begin
        self._crash = crash
        self._tenure = NO_TENURE
        self._claim: asyncio.Task[None] | None = None
        self._reclaims: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count(1)
        self._claims: dict[int, int] = {}  # claimed partitions: the number of the claim that counts
        self._next: dict[int, int] = {}  # claimed partitions: where the next chunk must start
        self._closed = False
        self.halted: frozenset[int] = frozenset()  # assigned partitions for which the Owner named no start

    @property
    def settled(self) -> bool:
        """Whether there is an assignment, and every partition of it is claimed or halted."""
        return self._tenure != NO_TENURE and (self._claim is None or self._claim.done())

    def assigned(self, tenure: int, partitions: frozenset[int]) -> None:
        """Starts the claim. A second call for the same tenure does nothing."""
        if self._closed or tenure == self._tenure:
            return
        self._tenure = tenure
        self._next = {}
        self._claims = {}
        self.halted = frozenset()
        self._claim = asyncio.create_task(self._make_claim(tenure, partitions)) if partitions else None

    async def reclaim(self, partitions: frozenset[int]) -> None:
        """Claims partitions of this tenure anew, and goes on where the Owner says; None halts them.

        Returns when that is done, or the tenure has ended.
        """
        held = frozenset(partition for partition in partitions if partition in self._next)
        if self._closed or not held:
            return
        task = asyncio.create_task(self._make_claim(self._tenure, held))
        self._reclaims.add(task)
        task.add_done_callback(self._reclaims.discard)
        await asyncio.wait({task})

    async def _make_claim(self, tenure: int, partitions: frozenset[int]) -> None:
        try:
            claimed = await self._owner.claim(partitions)
            if claimed.keys() != partitions:
                raise Fatal(
                    f"the owner of {self._topic}, asked for {sorted(partitions)}, claimed {sorted(claimed)}",
                    remedy="This is a programming error: name a start, or None, for each partition",
                )
            starts = {partition: start for partition, start in claimed.items() if start is not None}
            number = next(self._numbers)
            for partition in partitions - starts.keys():
                self._next.pop(partition, None)
                self._claims.pop(partition, None)
            self._next.update(starts)
            self._claims.update(dict.fromkeys(starts, number))
            self.halted = self.halted - starts.keys() | (partitions - starts.keys())
            await self._begin(tenure, number, claimed)
        except Exception as error:  # it must end the process, whatever it is
            await self._crash(error)

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Ends the tenure: what still comes of it is dropped."""
        self._tenure = NO_TENURE
        self._next = {}
        self._claims = {}
        self.halted = frozenset()
        await self._give_up_claims()
        self._claim = None
        if partitions:
            await self._owner.revoked(partitions)

    async def take(self, number: int, chunk: Chunk) -> None:
        """Hands a chunk on, unless it was fetched for another claim. Raises Fatal rather than leave a gap."""
        if self._closed or self._claims.get(chunk.partition) != number:
            return
        expected = self._next[chunk.partition]
        if chunk.start != expected:
            raise Fatal(
                f"{self._topic}[{chunk.partition}]: a chunk starts at {chunk.start} where {expected} was due",
                remedy="Restart the worker: it goes on from the ledger. Report this, it should not happen",
            )
        self._next[chunk.partition] = chunk.end
        await self._owner.take(chunk)

    async def close(self) -> None:
        """No more claims and no more chunks; a claim under way is given up."""
        self._closed = True
        await self._give_up_claims()

    async def _give_up_claims(self) -> None:
        under_way = {
            claim for claim in (self._claim, *self._reclaims) if claim is not None and not claim.done()
        }
        for claim in under_way:
            claim.cancel()
        if under_way:
            await asyncio.wait(under_way, timeout=CANCEL_TIMEOUT)
