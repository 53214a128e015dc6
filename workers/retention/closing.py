"""The end of a closed workspace under way: on record from before its own key is destroyed.

As with disposals (pending.py): each step replaces the one before it by If-Match, so that of a hold, or a
re-opening, and a worker one wins (docs/decisions/021-a-hold-and-a-worker.md).
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import msgspec

from workers.errors import Fatal
from workers.ledger.chain import find
from workers.ledger.walk import listed
from workers.retention import names, pending
from workers.retention.pending import Moved
from workers.store.port import Store
from workers.store.retry import Retry

FORMAT = 1


class Step(StrEnum):
    BEGUN = "begun"  # nothing has happened yet: it can be taken back
    DESTROYING = "destroying"  # it can't any more: its key is being destroyed
    RECALLED = "recalled"  # it was taken back


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    workspace: str
    step: Step
    begun_at: int  # ms since the epoch
    policy: tuple[int, int]  # shard and seq of the change that closed it
    words: str  # by which it was decided: what the certificate says
    attempt: str  # random: tells two beginnings apart
    by: str  # the worker that took the step, or who took it back


class Stood(NamedTuple):
    """As it was read or written."""

    closing: Closing
    etag: str


_decoder = msgspec.json.Decoder(Closing)


def encode(closing: Closing) -> bytes:
    return msgspec.json.encode(closing, order="sorted")


def decode(body: bytes, where: str) -> Closing:
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        closing = _decoder.decode(body)
        if closing.format == FORMAT and names.closing(closing.workspace) == where:
            return closing
    raise Fatal(
        f"{where} is no closing under way",
        remedy="Restore it from its versions, or delete it: the closing then begins again",
    )


async def read(store: Store, workspace: str, retry: Retry) -> Stood | None:
    where = names.closing(workspace)
    got = await find(store, where, retry)
    return None if got is None else Stood(decode(got.body, where), got.etag)


async def begin(store: Store, closing: Closing, retry: Retry) -> Stood:
    """What stands afterwards: this beginning, or that of whoever was faster. Raises Moved if neither does."""
    await pending.place(store, names.closing(closing.workspace), encode(closing), retry)
    stood = await read(store, closing.workspace, retry)
    if stood is None:
        raise Moved
    return stood


async def step(store: Store, stood: Stood, to: Step, by: str, retry: Retry) -> Stood:
    """Raises Moved where another step was taken meanwhile."""
    following = msgspec.structs.replace(stood.closing, step=to, by=by)
    where = names.closing(following.workspace)
    return Stood(following, await pending.replace(store, where, stood.etag, encode(following), retry))


async def end(store: Store, workspace: str, retry: Retry) -> None:
    await retry.call(lambda: store.delete([names.closing(workspace)]))


async def recall(store: Store, stood: Stood, by: str, retry: Retry) -> bool:
    """False where it is too late. Raises Moved where a worker was faster."""
    if stood.closing.step is Step.BEGUN:
        stood = await step(store, stood, Step.RECALLED, by, retry)
    if stood.closing.step is not Step.RECALLED:
        return False
    await end(store, stood.closing.workspace, retry)
    return True


async def recall_standing(store: Store, workspace: str, by: str, retry: Retry) -> bool:
    """As `recall`, of whatever stands; True where nothing does."""
    while (stood := await read(store, workspace, retry)) is not None:
        try:
            return await recall(store, stood, by, retry)
        except Moved:
            continue  # a worker took a step: with the change of policy it can take one at most
    return True


async def has_ended(store: Store, workspace: str, retry: Retry) -> bool:
    """Whether its key is destroyed, or about to be."""
    if await find(store, names.closing_certificate(workspace), retry) is not None:
        return True
    stood = await read(store, workspace, retry)
    return stood is not None and stood.closing.step is Step.DESTROYING


async def under_way(store: Store, retry: Retry) -> AsyncIterator[str]:
    """Workspaces."""
    async for stat in listed(store, names.CLOSINGS, retry):
        workspace = names.closing_workspace(stat.key)
        if workspace is not None:
            yield workspace
