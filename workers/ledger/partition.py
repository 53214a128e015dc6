"""One partition between claim and revocation: its batch, the flushes under way, and the committed head."""

import asyncio
from collections import deque
from functools import partial

from workers.intake import allowances
from workers.intake.batch import Batch
from workers.intake.samples import Samples
from workers.ledger.flush import Commit, Flusher
from workers.ledger.head import Head


class Partition:
    """Batches are prepared side by side and committed in order (docs/architecture.md, Flush, 2)."""

    def __init__(self, head: Head, flusher: Flusher) -> None:
        self.head = head
        # a claim begins them anew, so what a dropped batch had used is given back with it
        self._allowances = allowances.fresh()
        self.batch = Batch(head.next, self._allowances)
        self.samples = Samples(head.next)  # of what was taken since they were shown last
        self.due = head.next if head.reads_from is None else head.reads_from  # where the next chunk starts
        self._flusher = flusher
        self._flights: deque[asyncio.Task[Commit]] = deque()
        self._in_flight: dict[asyncio.Task[Commit], Batch] = {}

    @property
    def number(self) -> int:
        return self.head.chain.partition

    @property
    def buffered_bytes(self) -> int:
        """Memory of what is not yet in the ledger, as good as it can be told from the records' sizes."""
        return self.batch.buffered_bytes + sum(batch.buffered_bytes for batch in self._in_flight.values())

    @property
    def buffered_records(self) -> int:
        return self.batch.records + sum(batch.records for batch in self._in_flight.values())

    @property
    def oldest(self) -> int | None:
        """The broker's time (ms) of the oldest record not yet in the ledger."""
        times = [
            batch.oldest for batch in (*self._in_flight.values(), self.batch) if batch.oldest is not None
        ]
        return min(times, default=None)

    @property
    def flushes(self) -> int:
        """How many are under way."""
        return len(self._flights)

    def show(self) -> Samples:
        """What was seen since the last call; begins anew."""
        samples, self.samples = self.samples, Samples(self.samples.end)
        return samples

    def flush(self) -> asyncio.Task[Commit]:
        """Closes the batch and begins its flush. See Flusher.flush for what the task raises."""
        batch, self.batch = self.batch, Batch(self.batch.next, self._allowances)
        previous = partial(self._head_after, self._flights[-1] if self._flights else None)
        flight = asyncio.create_task(self._flusher.flush(self.head.chain, batch, previous))
        self._flights.append(flight)
        self._in_flight[flight] = batch
        flight.add_done_callback(self._landed)
        return flight

    async def settle(self) -> None:
        """Waits until no flush is under way; their errors stay with their tasks."""
        while self._flights:
            await asyncio.wait(list(self._flights))

    async def drop(self) -> int:
        """Gives everything up; returns how many records that were not in a flush.

        What was sent may still be committed: the next owner reads the head.
        """
        dropped = self.batch.records
        flights = list(self._flights)
        for flight in flights:
            flight.cancel()
        if flights:
            await asyncio.wait(flights)
        self.batch = Batch(self.head.next, self._allowances)
        return dropped

    def _landed(self, flight: asyncio.Task[Commit]) -> None:
        self._flights.remove(flight)
        del self._in_flight[flight]
        if not flight.cancelled() and flight.exception() is None:
            self.head = flight.result().head

    async def _head_after(self, flight: asyncio.Task[Commit] | None) -> Head:
        """Shielded: cancelling the flush that waits must not cancel the one it waits for."""
        return self.head if flight is None else (await asyncio.shield(flight)).head
