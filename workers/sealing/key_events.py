"""What people did to keys: who, when, why, and from where (docs/format.md, Keys). Never what a key is."""

import secrets
from collections.abc import AsyncIterator, Sequence

import msgspec

from workers.by import By
from workers.errors import Fatal
from workers.sealing.numbered_log import NumberedLog
from workers.sealing.rows import FORMAT, PREFIX
from workers.store.port import Store

LOG = NumberedLog(f"{PREFIX}events/", "log of key events")


class KeyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """`what` is begun or done, as `shred begun`; `rows` are the names of the rows that it is done to."""

    what: str
    rows: tuple[str, ...]
    who: str
    host: str
    why: str
    at: int  # ms since the epoch
    id: str  # tells an event from one that is otherwise equal
    format: int = FORMAT


_decoder = msgspec.json.Decoder(KeyEvent)


async def put_on_record(stores: Sequence[Store], what: str, rows: Sequence[str], by: By) -> None:
    """Called again, it adds another event. Raises the store's Retryable."""
    event = KeyEvent(
        what=what,
        rows=tuple(rows),
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
