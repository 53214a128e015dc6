"""The start-up proof: a store that breaks the promise on which the ledger stands is refused (docs/s3.md).

Some servers ignore conditional headers, some let several writers win a race, and neither says so.
"""

import asyncio
import secrets
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from workers.errors import Fatal, StrongroomError
from workers.store.port import (
    IF_ABSENT,
    Condition,
    Conflict,
    Denied,
    IfMatch,
    NotFound,
    PreconditionFailed,
    Store,
    Unavailable,
)

PREFIX = "probe/"  # a worker needs put, get and delete here
WRITERS = 16
ROUNDS = 3  # a lost response makes a round say nothing

USE_ANOTHER = (
    "Strongroom can't be exactly-once on it: use AWS S3, or a server that honours conditional writes"
)

log = structlog.get_logger(__name__)


class _Race(NamedTuple):
    body: bytes
    etag: str


async def prove(store: Store) -> None:
    """Returns if of 16 concurrent conditional PUTs of one name exactly one wins, for either condition.

    Raises Fatal for a store that breaks that or lacks the bucket, Denied without access, Unavailable without
    answers.
    """
    key = f"{PREFIX}{secrets.token_hex(16)}"
    await _miss(store, key)
    try:
        first = await _race(store, key, IF_ABSENT, "If-None-Match")
        await _race(store, key, IfMatch(first.etag), "If-Match")
    except StrongroomError:
        await _remove(store, key)
        raise
    if left := await _remove(store, key):
        # it costs a few bytes, and a role that may delete nothing is no reason to stop
        log.warning("probe_left", store=store.name, key=key, cause=left)


async def _miss(store: Store, key: str) -> None:
    """S3 answers 403 to a missing name where the role may not list: no chain's end could be seen."""
    try:
        await store.get(key)
    except NotFound:
        return
    except Denied as error:
        raise Denied(
            f"{error.message}: a name that is not there must be answered with 404",
            remedy="Allow s3:ListBucket on the bucket, beside s3:GetObject and s3:PutObject",
        ) from error
    raise Fatal(f"{store.name}/{key} is there, and nobody wrote it", remedy=USE_ANOTHER)


async def _race(store: Store, key: str, condition: Condition, header: str) -> _Race:
    """The one winner, which the store must hold afterwards."""
    silence: Unavailable | None = None
    for _ in range(ROUNDS):
        bodies = [secrets.token_hex(16).encode() for _ in range(WRITERS)]
        outcomes = await asyncio.gather(
            *(store.put(key, body, condition=condition) for body in bodies), return_exceptions=True
        )
        winners = _winners(store, bodies, outcomes)
        if len(winners) > 1:
            raise _broken(store, header, f"{len(winners)} of {WRITERS} writers of a name were told they won")
        stored = await _stored(store, key)
        if winners:
            if stored is None or stored.body != winners[0].body:
                raise _broken(store, header, "the writer that was told it won did not have its object stored")
            return winners[0]
        if stored is not None and stored.body in bodies:
            return stored  # its response was lost, or its own second try was refused by its first
        silence = next((outcome for outcome in outcomes if isinstance(outcome, Unavailable)), silence)
    raise silence or _broken(store, header, f"none of {WRITERS} writers of a free name could win")


async def _stored(store: Store, key: str) -> _Race | None:
    try:
        got = await store.get(key)
    except NotFound:
        return None
    return _Race(got.body, got.etag)


def _winners(store: Store, bodies: Sequence[bytes], outcomes: Sequence[str | BaseException]) -> list[_Race]:
    won: list[_Race] = []
    for body, outcome in zip(bodies, outcomes, strict=True):
        match outcome:
            case str():
                won.append(_Race(body, outcome))
            case PreconditionFailed() | Conflict() | Unavailable():
                pass  # refused, or nobody knows
            case NotFound():
                raise Fatal(
                    f"{outcome.message}: {store.name} can't be written",
                    remedy="Check the bucket's name and that the endpoint is an S3 server",
                )
            case _:
                raise outcome
    return won


def _broken(store: Store, header: str, seen: str) -> Fatal:
    return Fatal(f"{store.name} does not honour {header}: {seen}", remedy=USE_ANOTHER)


async def _remove(store: Store, key: str) -> str:
    """Why the probe is still there; empty if it is not."""
    try:
        return (await store.delete([key])).get(key, "")
    except StrongroomError as error:
        return error.message
