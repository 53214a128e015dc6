"""What people did to keys: who, when, why, and from where (docs/format.md, Keys). Never what a key is."""

import secrets
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

import msgspec

from workers.by import By
from workers.errors import Fatal
from workers.sealing.numbered_log import NumberedLog
from workers.sealing.rows import FORMAT, PREFIX
from workers.store.port import Store

LOG = NumberedLog(f"{PREFIX}events/", "log of key events")


class What(StrEnum):
    ROTATION_BEGUN = "rotation begun"
    ROTATION_DONE = "rotation done"
    ROOT_ROTATION_BEGUN = "root rotation begun"
    ROOT_ROTATION_DONE = "root rotation done"
    SHREDDING_BEGUN = "shredding begun"
    SHREDDING_DONE = "shredding done"
    READER_ADDED = "reader added"
    READER_REVOKED = "reader revoked"


class KeyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` are the names of the rows that it was done to; none of a root rotation, which is of all."""

    what: What
    rows: tuple[str, ...]
    generation: int = 0  # of a rotation: the one that becomes current
    who: str
    host: str
    why: str
    at: int  # ms since the epoch
    id: str  # tells an event from one that is otherwise equal
    format: int = FORMAT


_decoder = msgspec.json.Decoder(KeyEvent)


async def put_on_record(
    stores: Sequence[Store], what: What, rows: Sequence[str], by: By, *, generation: int = 0
) -> None:
    """Called again, it adds another event. Raises the store's Retryable."""
    event = KeyEvent(
        what=what,
        rows=tuple(rows),
        generation=generation,
        who=by.who,
        host=by.host,
        why=by.why,
        at=by.now,
        id=secrets.token_hex(8),
    )
    await LOG.append(stores, msgspec.json.encode(event, order="sorted"))


async def events(store: Store) -> AsyncIterator[KeyEvent]:
    """In their order. Raises Fatal for what is no event."""
    async for stat in store.list(LOG.prefix):
        body = await LOG.read(store, stat.key)
        try:
            yield _decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Fatal(
                f"{store.name}/{stat.key} is no key event: {error}", remedy="Restore it from its versions"
            ) from None
