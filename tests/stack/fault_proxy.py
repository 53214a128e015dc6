"""A TCP proxy with faults: between two parties of loopback it can cut, stall and slow down."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

CHUNK = 64 * 1024

End = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class FaultProxy:
    """Listens on `port` and passes on to `upstream`, both of 127.0.0.1, in a thread of its own while entered.

    A fault holds for every connection until `heal`.
    """

    def __init__(self, port: int, upstream: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._port, self._upstream = port, upstream
        self._delay = 0.0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name=f"fault-proxy-{port}", daemon=True
        )
        self._connections: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._refusing = False
        self._server: asyncio.Server | None = None
        self.broken = 0  # connections that were cut or refused
        self.stalled = 0  # pieces that a stall held up

    def cut(self) -> None:
        """Breaks every connection, and every new one as soon as it is made."""
        self._do(self._cut)

    def stall(self) -> None:
        """Connections stay open and nothing passes, as behind a firewall that forgot them."""
        self._do(self._flowing.clear)

    def slow(self, seconds: float) -> None:
        """Delays every piece (up to 64 KiB) by so much, each way."""
        self._delay = seconds

    def heal(self) -> None:
        """Back to passing everything on at once. What was cut stays cut: the parties connect anew."""
        self._delay, self._refusing = 0.0, False
        self._do(self._flowing.set)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _do(self, change: Callable[[], None]) -> None:
        async def change_there() -> None:
            change()

        asyncio.run_coroutine_threadsafe(change_there(), self._loop).result(10)

    def _cut(self) -> None:
        self._refusing = True
        self.broken += len(self._connections)
        for connection in self._connections:
            connection.cancel()

    async def _listen(self) -> None:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            self.broken += 1
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        there: asyncio.StreamWriter | None = None
        try:
            back, there = await asyncio.open_connection("127.0.0.1", self._upstream)
            async with asyncio.TaskGroup() as ways:
                for way in self._ways((reader, writer), (back, there)):
                    ways.create_task(way)
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # either party's end, or a cut, is the end of both
        finally:
            self._connections.discard(task)
            for end in (writer, there):
                if end is not None:
                    end.transport.abort()

    def _ways(self, client: End, server: End) -> Iterable[Coroutine[Any, Any, None]]:
        return self._pass(client[0], server[1]), self._pass(server[0], client[1])

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while piece := await source.read(CHUNK):
            self.stalled += not self._flowing.is_set()
            await self._flowing.wait()
            if self._delay:
                await asyncio.sleep(self._delay)
            sink.write(piece)
            await sink.drain()
        raise ConnectionResetError  # ends the other way as well
