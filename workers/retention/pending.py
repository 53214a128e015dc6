"""A disposal under way, on record from the moment at which the unit's key is to be disabled.

Each step replaces the one before it by If-Match. So a legal hold and a worker can't both be right: either the
hold takes the record back and the worker's next step fails, or the worker has begun to dispose, and the hold
is told so (docs/decisions/021-a-hold-and-a-worker.md).
"""

from collections.abc import AsyncIterator
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import Clock
from workers.ledger.chain import append, find
from workers.ledger.halts import Halted
from workers.ledger.walk import listed
from workers.retention import names
from workers.sealing.keys import Unit
from workers.store.port import IfMatch, NotFound, PreconditionFailed, Store, Version
from workers.store.retry import Retry

FORMAT = 1


class Step(StrEnum):
    BEGUN = "begun"  # the key is being disabled
    DISABLED = "disabled"  # nobody reads it, and it can be taken back
    DISPOSING = "disposing"  # it can't any more
    RECALLED = "recalled"  # it was taken back: the key is being enabled


RECALLABLE = frozenset({Step.BEGUN, Step.DISABLED})


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    workspace: str
    source: str
    day: str
    clock: str
    step: Step
    begun_at: int  # ms since the epoch
    disabled_at: int | None = None
    reason: str  # the rule by which the unit is due
    policy: tuple[int, int] | None  # shard and seq of the change that says so
    words: str = ""  # by which it was decided: what a certificate says, whatever the policy says by then
    revision: int | None = None  # of the key's row: one that was changed since is not disabled by this
    buckets: tuple[str, ...] = ()  # to delete from: whoever can't reach one of them can't end the disposal
    attempt: str  # random: tells two beginnings apart
    by: str  # the worker that took the step, or who took it back

    @property
    def unit(self) -> Unit:
        return Unit(self.workspace, self.source, self.day, Clock(self.clock))


class Stood(NamedTuple):
    """As it was read or written."""

    pending: Pending
    etag: str


class Moved(Exception):
    """Somebody else took a step: look again."""


_decoder = msgspec.json.Decoder(Pending)


def encode(pending: Pending) -> bytes:
    return msgspec.json.encode(pending, order="sorted")


def decode(body: bytes, where: str) -> Pending:
    try:
        pending = _decoder.decode(body)
        if pending.format == FORMAT and names.pending(pending.unit) == where:
            return pending
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        pass
    raise Fatal(
        f"{where} is no disposal under way",
        remedy="Restore it from its versions, or delete it: the disposal then begins again",
    )


async def read(store: Store, unit: Unit, retry: Retry) -> Stood | None:
    where = names.pending(unit)
    got = await find(store, where, retry)
    return None if got is None else Stood(decode(got.body, where), got.etag)


async def begin(store: Store, pending: Pending, retry: Retry) -> Stood:
    """What stands afterwards: this beginning, or that of whoever was faster. Raises Moved if neither does."""
    await place(store, names.pending(pending.unit), encode(pending), retry)
    stood = await read(store, pending.unit, retry)
    if stood is None:
        raise Moved
    return stood


async def place(store: Store, where: str, body: bytes, retry: Retry) -> None:
    """A record where there is none; whoever was faster stands. Raises Moved where ended ones lay there,
    whoever cleared them away.
    """
    try:
        await append(store, where, body, ours=body.__eq__, retry=retry)
    except Halted:
        if not await _cleared(store, where, retry):
            raise
        raise Moved from None


async def _cleared(store: Store, where: str, retry: Retry) -> bool:
    """Whether no ended record is in the way any more.

    Some servers (versitygw) take a delete marker for an object when asked to write only where there is none;
    S3 does not. Each version is named, so what another worker writes meanwhile stays.
    """
    found = await _versions(store, where, retry)
    if not found:
        return True  # another worker was here between our write and this look
    if not next(version for version in found if version.is_latest).delete_marker:
        return True  # and has begun
    for marker in (False, True):  # the marker last: without it an ended record would stand again
        versions = [version for version in found if version.delete_marker is marker]
        # one that another worker purged at the same time is refused too
        if await retry.call(partial(store.purge, versions)):
            left = {version.version_id for version in await _versions(store, where, retry)}
            if any(version.version_id in left for version in versions):
                return False
    return True


async def _versions(store: Store, where: str, retry: Retry) -> list[Version]:
    async def attempt() -> list[Version]:
        return [version async for version in store.versions(where) if version.key == where]

    return await retry.call(attempt)


async def step(store: Store, stood: Stood, following: Pending, retry: Retry) -> Stood:
    """Raises Moved where another step was taken meanwhile."""
    etag = await replace(store, names.pending(following.unit), stood.etag, encode(following), retry)
    return Stood(following, etag)


async def replace(store: Store, where: str, etag: str, body: bytes, retry: Retry) -> str:
    """The new ETag. `body` differs from what was there before, or nobody can tell whose step it is.

    Raises Moved where another step was taken meanwhile.
    """

    async def attempt() -> str:
        try:
            return await store.put(where, body, condition=IfMatch(etag))
        except PreconditionFailed:
            try:
                got = await store.get(where)
            except NotFound:
                raise Moved from None
            if got.body != body:  # ours, if the answer was lost
                raise Moved from None
            return got.etag

    return await retry.call(attempt)


async def end(store: Store, unit: Unit, retry: Retry) -> None:
    """The disposal is over. A beginning that is deleted too late by this begins again, and waits again."""
    await retry.call(lambda: store.delete([names.pending(unit)]))


async def under_way(store: Store, retry: Retry, prefix: str = names.PENDING) -> AsyncIterator[Stood]:
    async for stat in listed(store, prefix, retry):
        unit = names.pending_unit(stat.key)
        stood = None if unit is None else await read(store, unit, retry)
        if stood is not None:
            yield stood
