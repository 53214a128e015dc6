"""Between the group and the Owner: claims at an assignment, drops at a revocation, and no chunk out of turn.

A tenure is one assignment of partitions to us; in it each partition is claimed apart from the others, maybe
more than once. What was fetched for an older claim is dropped here: an Owner sees every offset from its claim
on, once and in order.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable

from workers.errors import Fatal
from workers.stream.chunk import Chunk, Owner

CANCEL_TIMEOUT = 5.0  # seconds that a revocation waits for a cancelled claim
NO_TENURE = 0

# tenure, number of the claim, partition, offset: seek there and fetch; None: fetch no more
Begin = Callable[[int, int, int, int | None], Awaitable[None]]
Crash = Callable[[BaseException], Awaitable[None]]


class Tenancy:
    def __init__(self, topic: str, owner: Owner, *, begin: Begin, crash: Crash) -> None:
        self._topic = topic
        self._owner = owner
        self._begin = begin
        self._crash = crash
        self._tenure = NO_TENURE
        self._under_way: set[asyncio.Task[None]] = set()
        self._unclaimed: set[int] = set()  # assigned partitions whose first claim is not made yet
        self._numbers = itertools.count(1)
        self._claims: dict[int, int] = {}  # claimed partitions: the number of the claim that counts
        self._next: dict[int, int] = {}  # claimed partitions: where the next chunk must start
        self._closed = False
        self.halted: frozenset[int] = frozenset()  # assigned partitions that are not read

    @property
    def settled(self) -> bool:
        """Whether there is an assignment, and every partition of it is claimed or halted."""
        return self._tenure != NO_TENURE and not self._unclaimed

    def assigned(self, tenure: int, partitions: frozenset[int]) -> None:
        """Starts a claim of each: a slow one holds up no other. Nothing, if called again for a tenure."""
        if self._closed or tenure == self._tenure:
            return
        self._tenure = tenure
        self._next = {}
        self._claims = {}
        self._unclaimed = set(partitions)
        self.halted = frozenset()
        for partition in sorted(partitions):
            self._start_claim(partition)

    async def reclaim(self, partitions: frozenset[int]) -> None:
        """Claims partitions of this tenure anew, halted ones too, and goes on where the Owner says.

        Returns when that is done, or the tenure has ended.
        """
        held = sorted(partitions & (self._next.keys() | self.halted))
        if not self._closed and held:
            await asyncio.wait([self._start_claim(partition) for partition in held])

    async def halt(self, partitions: frozenset[int]) -> None:
        """Reads these no more in this tenure, as if the Owner had named no start."""
        for partition in sorted(partitions & self._next.keys()):
            await self._go_on(partition, None)

    def _start_claim(self, partition: int) -> asyncio.Task[None]:
        claim = asyncio.create_task(self._make_claim(self._tenure, partition))
        self._under_way.add(claim)
        claim.add_done_callback(self._under_way.discard)
        return claim

    async def _make_claim(self, tenure: int, partition: int) -> None:
        try:
            claimed = await self._owner.claim(frozenset({partition}))
            if claimed.keys() != {partition}:
                raise Fatal(
                    f"the owner of {self._topic}, asked for partition {partition}, claimed {sorted(claimed)}",
                    remedy="This is a programming error: name a start, or None, for what was asked",
                )
            if tenure != self._tenure:
                return  # it outlived its cancellation: what is claimed now is another's
            await self._go_on(partition, claimed[partition])
            self._unclaimed.discard(partition)
        except Exception as error:  # it must end the process, whatever it is
            await self._crash(error)

    async def _go_on(self, partition: int, start: int | None) -> None:
        number = next(self._numbers)
        if start is None:
            self._next.pop(partition, None)
            self._claims.pop(partition, None)
            self.halted |= {partition}
        else:
            self._next[partition] = start
            self._claims[partition] = number
            self.halted -= {partition}
        await self._begin(self._tenure, number, partition, start)

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Ends the tenure: what still comes of it is dropped."""
        self._tenure = NO_TENURE
        self._next = {}
        self._claims = {}
        self._unclaimed = set()
        self.halted = frozenset()
        await self._give_up_claims()
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
        for claim in self._under_way:
            claim.cancel()
        if self._under_way:
            await asyncio.wait(set(self._under_way), timeout=CANCEL_TIMEOUT)
