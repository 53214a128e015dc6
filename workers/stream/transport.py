"""Faust's transport with one message a fetched chunk of one partition (docs/kafka.md).

A Faust message costs 30 to 40 times what aiokafka's record does, so a message here is a whole chunk. Works on
private names of faust-streaming 0.15.3 and aiokafka 0.14.0, which are pinned for that reason.
"""

from collections.abc import Iterable
from typing import Any

import faust
from faust.transport import drivers
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from workers.stream.consumer_thread import Delivery, RebalanceListener, Thread

SCHEME = "chunks"


class _Unread(dict[TP, None]):
    """Faust's read offsets, always unknown: it would drop chunks below the highest one of an older tenure."""

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: object) -> None:
        pass


class Consumer(driver.Consumer):
    """Faust's consumer in the main loop. Tells `app.tenancy` of every change of the assignment."""

    RebalanceListener = RebalanceListener
    _thread: Thread
    app: Any  # ArchiveApp, which imports this module

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = _Unread()  # type: ignore[assignment]  # see _Unread

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Delivery) -> ConsumerMessage:
        chunk = record.chunk
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            chunk.end - 1,
            0.0,  # nobody asks a chunk for its time, or of which kind it is
            0,
            [],
            None,
            record,  # type: ignore[arg-type]  # ChunkSchema takes it out again
            None,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- the assignment ---------------------------------------------------------------------------------

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        self.stop_flow()
        self.app.flow_control.suspend()
        await self.app.tenancy.revoked(_partitions(revoked))
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        self.stop_flow()  # an idle worker's flow stays open
        self.app.flow_control.suspend()
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            self.app.tenancy.assigned(self._thread.tenure, frozenset())

    async def perform_seek(self) -> None:
        """Called before Faust resumes the flow, under a time limit after which it goes idle for ever.

        So nothing is awaited here: the claim runs beside, and each partition is resumed when it is claimed.
        Faust calls it again, for nothing, where a fetch returned into a stopped flow.
        """
        if self._thread.holding:
            self.app.tenancy.assigned(self._thread.tenure, _partitions(self.assignment()))

    # -- offsets: the ledger's business -----------------------------------------------------------------

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Faust never commits: the group offset is a hint, left with `ArchiveStream.commit_hint`."""
        return False

    def _new_offset(self, tp: TP) -> int | None:
        return None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Stock bookkeeping spends 1.7 s of the loop on a gap of 5 M offsets; chunks carry their gaps."""

    def forget(self, message: Any) -> None:
        """Ends Faust's interest in a message without moving the group offset."""
        message.acked = True
        self._unacked_messages.discard(message)

    async def wait_empty(self) -> None:
        """Stock code waits until every message is acked, for ever; what was not taken is fetched again."""
        for message in list(self._unacked_messages):
            self.forget(message)

    # -- back-pressure: a full queue holds the drain loop ------------------------------------------------

    def on_buffer_full(self, tp: TP) -> None:
        """Stock code takes the partition out of the next fetch and naps for a second where none is left."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Stock livelock detection compares monotonic time with epoch time. `lag` feeds our own watchdog."""


def _partitions(tps: Iterable[TP]) -> frozenset[int]:
    return frozenset(tp.partition for tp in tps)


class Transport(driver.Transport):
    Consumer = Consumer


class ChunkSchema(faust.Schema[None, Delivery]):
    """Hands the Delivery through untouched: no key, no codec."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> None:
        return None

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.value


drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
