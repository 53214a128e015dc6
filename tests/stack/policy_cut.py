"""A proxy between a worker and its Kafka that can cut off what reads the policy topics, and nothing else."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from tests.stack.fault_proxy import CHUNK, End, FaultProxy
from tests.stack.kafka import Kafka


class PolicyCut(FaultProxy):
    """Listens where `kafka` says that its second listener is; `topics` are the policy topics' full names.

    A client has connections of its own, so those that have named one of these topics are the policy readers'.
    """

    def __init__(self, kafka: Kafka, topics: Iterable[str]) -> None:
        assert kafka.ports is not None, "an external Kafka can't be put behind a proxy"
        super().__init__(kafka.ports.proxied, kafka.ports.behind_proxy)
        self._topics = [topic.encode() for topic in topics]
        self._silent = False
        self._silenced: set[asyncio.Task[None]] = set()
        self.swallowed = 0  # requests and answers that did not get through

    def silence(self) -> None:
        """From now on nothing passes on the policy readers' connections: they are half open."""
        self._silent = True

    def heal(self) -> None:
        """Breaks those connections: half open they would stay so until the worker's own time-outs."""
        self._do(self._break_silenced)
        super().heal()

    def _break_silenced(self) -> None:
        self._silent = False
        for connection in self._silenced & self._connections:
            connection.cancel()
        self._silenced.clear()

    def _ways(self, client: End, server: End) -> Iterable[Coroutine[Any, Any, None]]:
        connection = asyncio.current_task()
        assert connection is not None
        of_policy = asyncio.Event()

        async def requests() -> None:
            while piece := await client[0].read(CHUNK):
                # where a name is cut in two by the pieces, the next request has it whole
                if not of_policy.is_set() and any(topic in piece for topic in self._topics):
                    of_policy.set()
                await passed(piece, server[1])
            raise ConnectionResetError  # ends the other way as well

        async def answers() -> None:
            while piece := await server[0].read(CHUNK):
                await passed(piece, client[1])
            raise ConnectionResetError

        async def passed(piece: bytes, sink: asyncio.StreamWriter) -> None:
            if self._silent and of_policy.is_set():
                self._silenced.add(connection)
                self.swallowed += 1
                return
            sink.write(piece)
            await sink.drain()

        return requests(), answers()
