"""The bucket of a simulation, which witnesses every version ever written, and a worker's connection to it."""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from tests.simulation.loop import PROCESS, Process
from tests.simulation.network import Lost, Network
from workers.errors import StrongroomError
from workers.ledger.names import ChainId
from workers.ledger.walk import place
from workers.store.bucket import Bucket, Stored
from workers.store.memory import MemoryStore
from workers.store.port import (
    NO_METADATA,
    Condition,
    Denied,
    Got,
    IfAbsent,
    PreconditionFailed,
    Stat,
    Unavailable,
    Version,
)

T = TypeVar("T")

TIMEOUT = 6.0  # seconds that a client waits for an answer


class Witness(Bucket):
    """Keeps what it is told to forget. An entry's name stays taken when it is deleted: 412, and then 404
    (docs/s3.md); an object's is free again, as on a bucket with versions."""

    def __init__(self, name: str, now: Callable[[], int]) -> None:
        super().__init__(name, versioned=True, now=now)
        self.bodies: dict[str, Stored] = {}  # the first version of everything
        self.chains: dict[ChainId, dict[int, int]] = {}  # entries: first → next; genesis: -1 → first
        self.closings: dict[ChainId, int] = {}  # the first closing's place
        self.overwritten: list[str] = []
        self.swept: set[str] = set()  # objects that were deleted
        self.landed: Callable[[str], None] = lambda key: None
        self.closed: Callable[[Any], None] = lambda closing: None

    def write(self, key: str, body: bytes, metadata: Mapping[str, str], condition: Condition | None) -> str:
        if isinstance(condition, IfAbsent) and key in self.bodies and key not in self.swept:
            raise PreconditionFailed(f"{key}: 412")
        return super().write(key, body, metadata, condition)

    def _add(self, key: str, stored: Stored) -> None:
        super()._add(key, stored)
        if stored.body is None:
            if key.startswith("data/"):
                self.swept.add(key)
            return
        if key in self.bodies:
            if key not in self.swept or stored.body != self.bodies[key].body:
                self.overwritten.append(key)
            return
        self.bodies[key] = stored
        found = place(key)
        if found is not None:
            document = json.loads(stored.body)
            entries = self.chains.setdefault(found.chain, {})
            if found.name == "genesis.json":
                entries[-1] = document["first"]
            elif "next" in document:
                entries[document["first"]] = document["next"]
            else:
                self.closings.setdefault(found.chain, document["first"])
                self.closed(document)
        self.landed(key)

    def head(self, chain: ChainId) -> int | None:
        """Where the next entry would begin, or the closing lies; None without a genesis."""
        entries = self.chains.get(chain, {})
        at = entries.get(-1)
        while at is not None and at in entries:
            at = entries[at]
        return at


class Traffic:
    """What one run of a worker asked of S3."""

    def __init__(self) -> None:
        self.puts = 0  # of objects and entries
        self.distinct: set[tuple[str, int]] = set()  # name and bytes of each put
        self.failed = 0  # attempts that the product was told to make again
        self.requests: Counter[str] = Counter()


class Connection:
    """A Store for one process. `tripped(step)` may kill the process: at a request's sending or landing."""

    def __init__(
        self,
        store: MemoryStore,
        server: Process,
        network: Network,
        denied: Callable[[], bool],
        tripped: Callable[[str], None],
        traffic: Traffic,
        note: Callable[[str, str], None],
    ) -> None:
        self._store, self._server, self._network = store, server, network
        self._denied, self._tripped, self._traffic, self._note = denied, tripped, traffic, note
        self._process = PROCESS.get()

    @property
    def name(self) -> str:
        return self._store.name

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        if not key.endswith("genesis.json"):
            self._traffic.puts += 1
            self._traffic.distinct.add((key, hash(body)))
        return await self._ask(
            f"put {_what(key)}",
            lambda: self._store.put(key, body, condition=condition, metadata=metadata),
            key,
        )

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        return await self._ask(
            f"get {_what(key)}", lambda: self._store.get(key, start=start, length=length), key
        )

    async def stat(self, key: str) -> Stat:
        return await self._ask("stat", lambda: self._store.stat(key))

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        async def listed() -> list[Stat]:
            return [stat async for stat in self._store.list(prefix, after=after, limit=limit)]

        for stat in await self._ask("list", listed):
            yield stat

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        async def listed() -> list[Version]:
            return [version async for version in self._store.versions(prefix, after=after)]

        for version in await self._ask("versions", listed):
            yield version

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        return await self._ask("delete", lambda: self._store.delete(keys))

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        return await self._ask("delete", lambda: self._store.purge(versions))

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        return 0

    async def expiring(self) -> Sequence[str]:
        return ()

    async def close(self) -> None:
        """Nothing to close."""

    async def _ask(self, step: str, operation: Callable[[], Coroutine[Any, Any, T]], key: str = "") -> T:
        self._traffic.requests[step] += 1

        def serve() -> T:
            answer = "200"
            try:
                if self._denied():
                    raise Denied(f"{step}: 403 AccessDenied")
                return at_once(operation())
            except StrongroomError as error:
                answer = type(error).__name__
                raise
            finally:
                self._note(self._process.name, f"{step} {key.rpartition('/')[2]} → {answer}")
                self._tripped(f"{step} landed")

        self._tripped(f"{step} sent")
        try:
            return await self._network.ask(self._server, serve, TIMEOUT)
        except Lost as error:
            raise Unavailable(f"{step}: {error}") from None


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Runs what does not wait for anything."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise StrongroomError("the store waited for something: a simulated one must not")


def _what(key: str) -> str:
    if key.startswith("data/"):
        return "data"
    if key.startswith("units/"):
        return "unit"
    return "genesis" if key.endswith("genesis.json") else "entry"
