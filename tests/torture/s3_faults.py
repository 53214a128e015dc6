"""One proxy a worker between it and the S3 server: passes requests on, and does to some what networks do.

A fault is counted where it took effect: a refusal when it was sent, a lost response when the server had done
the work, a late write when it reached the server after the client had gone.
"""

import asyncio
import random
import re
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from yarl import URL

from tests.stack import passing
from tests.torture.tally import Tally

T = TypeVar("T")

_GONE_POLL = 0.05  # seconds between looks whether the client has hung up
STORE_REFUSALS = {
    "s3_internal_error": (500, "InternalError"),
    "s3_unavailable": (503, "ServiceUnavailable"),
    "s3_slow_down": (503, "SlowDown"),
    "s3_conflict": (409, "ConditionalRequestConflict"),
    "credentials_401": (401, "InvalidAccessKeyId"),
    "credentials_403": (403, "ExpiredToken"),
}
STORE_FAULTS = (
    *STORE_REFUSALS,
    "s3_delay",  # answered, late
    "s3_reset",  # cut before the server saw it
    "s3_half_open",  # never answered, never passed on; counted when the client has given up
    "s3_lost_response",  # done by the server, and cut before the answer
    "s3_torn_response",  # done by the server, and cut in the middle of the answer
    "s3_late_write",  # a PUT passed on after the client has given up
    "s3_cut",  # every request of a worker cut, so that it has no S3
)


@dataclass
class Storm:
    """Does `kind` to a `share` of the requests whose "METHOD /path" matches, at most `limit` of them."""

    kind: str
    share: float = 1.0
    matching: str = ""
    limit: int | None = None
    hits: int = 0


@dataclass
class Trap:
    """Catches the next request that matches "METHOD /path": `caught` is set, and it waits for `release`.

    `then` says what becomes of it: pass (answered), drop (never passed on), or late (passed on after the
    client has gone). With `after_server` it is caught when the server has done the work.
    """

    matching: str
    then: str = "drop"
    after_server: bool = False
    caught: threading.Event = field(default_factory=threading.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    landed: threading.Event = field(default_factory=threading.Event)  # a late one has reached the server
    status: int = 0  # what the server said to it


class StoreProxy:
    """`endpoint` is what one worker is given. Faults are set from any thread; see StoreProxies."""

    def __init__(self, server: str, tally: Tally, seed: str) -> None:
        self._server = URL(server)
        self._tally = tally
        self._rng = random.Random(seed)
        self._storms: list[Storm] = []
        self._traps: list[Trap] = []
        self._late: set[asyncio.Task[None]] = set()
        self.endpoint = ""
        self.archived_at = float("-inf")  # of the monotonic clock: when it last passed an entry on

    async def start(self) -> None:
        self._client = passing.client()
        self._runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0]
        self.endpoint = f"http://{host}:{port}"

    async def stop(self) -> None:
        for task in self._late:
            task.cancel()
        await self._runner.cleanup()
        await self._client.close()

    # -- set by the nemesis, on the proxies' loop ---------------------------------------------------

    async def begin(self, storm: Storm) -> None:
        self._storms.append(storm)

    async def end(self, storm: Storm) -> None:
        self._storms.remove(storm)

    async def set_trap(self, trap: Trap) -> None:
        self._traps.append(trap)

    async def release(self, trap: Trap) -> None:
        if trap in self._traps:
            self._traps.remove(trap)
        trap.released.set()

    # -- requests -----------------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        what = f"{request.method} {request.path}"
        if (storm := self._storm_over(what)) is not None:
            return await self._suffer(storm, request, body)
        trap = next((trap for trap in self._traps if re.search(trap.matching, what)), None)
        if trap is not None:
            self._traps.remove(trap)
            return await self._entrap(trap, request, body)
        return await self._forward(request, body)

    def _storm_over(self, what: str) -> Storm | None:
        for storm in self._storms:
            if storm.limit is not None and storm.hits >= storm.limit:
                continue
            if re.search(storm.matching, what) and self._rng.random() < storm.share:
                storm.hits += 1
                return storm
        return None

    async def _suffer(self, storm: Storm, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        kind = storm.kind
        if kind in STORE_REFUSALS:
            self._tally.count(kind)
            return passing.refuse(*STORE_REFUSALS[kind])
        match kind:
            case "s3_delay":
                await asyncio.sleep(self._rng.uniform(0.3, 2.5))
                answer = await self._forward(request, body)
                self._tally.count(kind, 0 if _gone(request) else 1)
                return answer
            case "s3_reset" | "s3_cut":
                self._tally.count(kind)
                return passing.cut(request)
            case "s3_half_open":
                await _until_gone(request)
                self._tally.count(kind)
                return web.Response()
            case "s3_late_write":
                self._keep(self._write_late(request, body, self._rng.uniform(0, 3)))
                await _until_gone(request)
                return web.Response()
        answer = await self._forward(request, body)
        self._tally.count(kind, 1 if answer.status < 400 else 0)
        return passing.cut(request) if kind == "s3_lost_response" else await passing.half(request, answer)

    async def _entrap(self, trap: Trap, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        answer = await self._forward(request, body) if trap.after_server else None
        if answer is not None:
            trap.status = answer.status
        trap.caught.set()
        await trap.released.wait()
        if trap.then == "pass":
            return answer or await self._forward(request, body)
        if trap.then == "late":
            await _until_gone(request)
            trap.status = (await self._forward(request, body)).status
            self._tally.count("s3_late_write")
            trap.landed.set()
        return passing.cut(request)

    async def _write_late(self, request: web.BaseRequest, body: bytes, pause: float) -> None:
        await _until_gone(request)
        await asyncio.sleep(pause)
        await self._forward(request, body)
        self._tally.count("s3_late_write")

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _forward(self, request: web.BaseRequest, body: bytes) -> web.Response:
        answer = await passing.forward(self._client, self._server, request, body)
        if request.method == "PUT" and "/ledger/" in request.path and answer.status == 200:
            self.archived_at = time.monotonic()
        return answer


class StoreProxies:
    """The proxies of all workers, on a loop in a thread of its own."""

    def __init__(self, server: str, tally: Tally, seed: int, names: list[str]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="s3-faults", daemon=True)
        self._thread.start()
        self.of = {name: StoreProxy(server, tally, f"{seed}/{name}") for name in names}
        for proxy in self.of.values():
            self.do(proxy.start())

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` on the loop of the proxies, and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        for proxy in self.of.values():
            self.do(proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def _gone(request: web.BaseRequest) -> bool:
    return request.transport is None or request.transport.is_closing()


async def _until_gone(request: web.BaseRequest) -> None:
    while not _gone(request):  # noqa: ASYNC110  # aiohttp tells a handler nothing of it
        await asyncio.sleep(_GONE_POLL)
