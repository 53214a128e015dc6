"""The in-memory twin of a store: the same answers as a real one, and its faults on demand."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from types import MappingProxyType
from typing import NoReturn

from workers.errors import StrongroomError
from workers.store.bucket import Bucket
from workers.store.faults import Fault, Faults, Rule
from workers.store.metadata import check_metadata
from workers.store.port import (
    NO_METADATA,
    Condition,
    Conflict,
    Denied,
    Got,
    NotFound,
    PreconditionFailed,
    Stat,
    Unavailable,
    Version,
)

PAGE = 1000  # keys a list or delete request, as in S3

_ANSWERS: Mapping[Fault, tuple[type[StrongroomError], str]] = {
    Fault.TIMED_OUT: (Unavailable, "timed out"),
    Fault.CONFLICT: (Conflict, "409 ConditionalRequestConflict"),
    Fault.REFUSED: (PreconditionFailed, "412 PreconditionFailed"),
    Fault.NOT_FOUND: (NotFound, "404 NoSuchKey"),
    Fault.SERVER_ERROR: (Unavailable, "500 InternalError"),
    Fault.UNAVAILABLE: (Unavailable, "503 ServiceUnavailable"),
    Fault.SLOW_DOWN: (Unavailable, "503 SlowDown"),
    Fault.UNAUTHENTICATED: (Denied, "401 InvalidAccessKeyId"),
    Fault.DENIED: (Denied, "403 AccessDenied"),
}


@dataclass(eq=False, slots=True)
class _Late:
    """A write whose sender gave up and which has not arrived yet."""

    write: Callable[[], object]
    lands_after: int | None  # requests


async def _turn() -> None:
    await asyncio.sleep(0)


class MemoryStore:
    """A `Store`. `requests` counts what a real server would have been asked, by operation.

    `turn` is awaited before and after each effect: there a simulation decides who goes next.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        versioned: bool = False,
        faults: Faults | None = None,
        now: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        turn: Callable[[], Awaitable[None]] = _turn,
    ) -> None:
        self._name, self._turn = name, turn
        self._bucket = Bucket(name, versioned=versioned, now=now)
        self._late: list[_Late] = []
        self.faults = faults or Faults()
        self.lifecycle: Sequence[str] = ()  # what `expiring` answers
        self.uploads: Sequence[str] = ()  # keys of multipart uploads that nobody has finished
        self.requests: Counter[str] = Counter()

    @property
    def name(self) -> str:
        return self._name

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        check_metadata(metadata)
        if digest is not None and digest != sha256(body).hexdigest():
            raise ValueError(f"put {self._name}/{key}: the digest is of other bytes")
        kept = MappingProxyType(dict(metadata))
        found = await self._begin("put", key)

        def write() -> str:
            return self._bucket.write(key, body, kept, condition)

        match found:
            case None:
                etag = write()
            case Fault.LOST_RESPONSE, _:
                _unheard(write)
                raise Unavailable(f"put {self._name}/{key}: connection lost while waiting for the answer")
            case Fault.OWN_WRITE_REFUSED, _:
                etag = write()
                if condition is not None:
                    etag = write()  # the client's own second try meets the first
            case Fault.LATE_WRITE, rule:
                self._late.append(_Late(write, rule.lands_after))
                raise Unavailable(f"put {self._name}/{key}: timed out")
            case fault, _:
                self._fail(fault, "put", key)
        await self._turn()
        return etag

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        await self._begin_read("get", key)
        stored, body = self._bucket.current(key)
        await self._turn()
        end = len(body) if length is None else start + length
        return Got(body[start:end], stored.etag, len(body), stored.metadata)

    async def stat(self, key: str) -> Stat:
        await self._begin_read("stat", key)
        stored, body = self._bucket.current(key)
        await self._turn()
        return Stat(key, len(body), stored.etag, stored.modified)

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        left = limit
        while left != 0:
            await self._begin_read("list", prefix)
            wanted = PAGE if left is None else min(left, PAGE)
            page = [*itertools.islice(self._bucket.stats(prefix, after), wanted)]
            for stat in page:
                yield stat
            if len(page) < PAGE:
                return
            after = page[-1].key
            left = None if left is None else left - len(page)

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        await self._begin_read("versions", prefix)
        for version in [*self._bucket.versions(prefix, after)]:
            yield version

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        return await self._delete([(key, partial(self._bucket.remove, key)) for key in keys])

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        return await self._delete(
            [(one.key, partial(self._bucket.purge, one.key, one.version_id)) for one in versions]
        )

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        await self._begin_read("list", prefix)
        ended = [key for key in self.uploads if key in keys]
        self.uploads = [key for key in self.uploads if key not in keys]
        return len(ended)

    async def expiring(self) -> Sequence[str]:
        return self.lifecycle

    async def close(self) -> None:
        """Nothing to close: another worker of the same test may go on with it."""

    def land_late_writes(self) -> None:
        """Applies all late writes now, in the order in which they were sent."""
        late, self._late = self._late, []
        for one in late:
            _unheard(one.write)

    async def _begin(self, operation: str, key: str) -> tuple[Fault, Rule] | None:
        """Counts the request, lets due late writes land, and says what goes wrong."""
        self.requests[operation] += 1
        await self._turn()
        self._land_due()
        found = self.faults.draw(operation, key)
        if found is not None and found[0] is Fault.HELD:
            await self.faults.released()
            return None
        return found

    async def _begin_read(self, operation: str, key: str) -> None:
        if found := await self._begin(operation, key):
            self._fail(found[0], operation, key)

    async def _delete(self, things: Sequence[tuple[str, Callable[[], None]]]) -> Mapping[str, str]:
        kept: dict[str, str] = {}
        for at in range(0, len(things), PAGE):
            kept |= await self._delete_page(things[at : at + PAGE])
        return kept

    async def _delete_page(self, things: Sequence[tuple[str, Callable[[], None]]]) -> Mapping[str, str]:
        """One request: a fault of one key is the whole request's, but for KEPT."""
        self.requests["delete"] += 1
        await self._turn()
        self._land_due()
        kept: dict[str, str] = {}
        lost = False
        for key, _ in things:
            match self.faults.draw("delete", key):
                case None:
                    pass
                case Fault.KEPT, _:
                    kept[key] = "InternalError: the server kept it"
                case Fault.LOST_RESPONSE, _:
                    lost = True
                case Fault.HELD, _:
                    await self.faults.released()
                case fault, _:
                    self._fail(fault, "delete", key)
        for key, gone in things:
            if key not in kept:
                gone()
        if lost:
            raise Unavailable(f"delete {self._name}: connection lost while waiting for the answer")
        await self._turn()
        return kept

    def _land_due(self) -> None:
        due: list[_Late] = []
        for one in self._late:
            if one.lands_after is not None:
                one.lands_after -= 1
                if one.lands_after <= 0:
                    due.append(one)
        self._late = [one for one in self._late if one not in due]
        for one in due:
            _unheard(one.write)

    def _fail(self, fault: Fault, operation: str, key: str) -> NoReturn:
        error, said = _ANSWERS.get(fault, (Unavailable, "connection lost"))
        raise error(f"{operation} {self._name}/{key}: {said}")


def _unheard(write: Callable[[], object]) -> None:
    """A write whose answer nobody gets, a refusal included."""
    try:
        write()
    except PreconditionFailed:
        return
