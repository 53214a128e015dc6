"""The one conditional-PUT append behind every chain: intake, units and policy (docs/architecture.md, Flush).

S3's `If-None-Match: *` gives a name to exactly one writer. What it does not give is a trustworthy "no": a
response may be lost and the client's own second try then answers 412 to the write that succeeded. So a 412 is
never believed before the winner was read.
"""

from collections.abc import Callable
from typing import NamedTuple

from workers.ledger.halts import ENTRY_DELETED, Halted
from workers.store.port import IF_ABSENT, Got, NotFound, PreconditionFailed, Store, Unavailable
from workers.store.retry import Retry

READS_BEFORE_HALT = 5


class Appended(NamedTuple):
    won: bool  # the stored object is ours
    body: bytes  # what is stored: ours, or the winner's


async def append(
    store: Store, key: str, body: bytes, *, ours: Callable[[bytes], bool], retry: Retry
) -> Appended:
    """Writes `body` at `key` if the name is free, and says who holds it.

    409, 5xx, time-outs and lost connections send the same bytes again, as `retry` allows; 401 and 403 are
    holds. `ours(winner)` tells our own earlier write from somebody else's. Raises Halted where the name is
    taken and nothing is found: somebody deletes entries, and writing again could replace a committed one.
    """
    missing = 0

    async def attempt() -> Appended:
        nonlocal missing
        if not missing:
            try:
                await store.put(key, body, condition=IF_ABSENT)
                return Appended(True, body)
            except PreconditionFailed:
                pass
        try:
            winner = (await store.get(key)).body
        except NotFound:
            missing += 1
            if missing >= READS_BEFORE_HALT:
                raise Halted(
                    ENTRY_DELETED,
                    f"{store.name}/{key} was refused as existing and then not found, {missing} times",
                    remedy="Something deletes ledger entries: stop it (a lifecycle rule, a clean-up job), "
                    "restore the entry from its versions, then start again",
                ) from None
            raise Unavailable(f"{store.name}/{key}: 412, then 404") from None
        return Appended(ours(winner), winner)

    return await retry.call(attempt)


async def find(store: Store, key: str, retry: Retry) -> Got | None:
    """The object, None where there is none."""

    async def attempt() -> Got | None:
        try:
            return await store.get(key)
        except NotFound:
            return None

    return await retry.call(attempt)


async def read(store: Store, key: str, retry: Retry) -> bytes | None:
    """The object's bytes, None where there is none."""
    got = await find(store, key, retry)
    return None if got is None else got.body
