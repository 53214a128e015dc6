"""Lists archived objects as the ledger says, each with what a reader needs to open it."""

from collections.abc import AsyncIterator

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.names import ChainId
from workers.ledger.read import Selection, entries_of
from workers.ledger.verify_entries import is_named_for
from workers.sealing.keys import Unit, context_of
from workers.store.port import Store
from workers.store.retry import Retry


class Listed(msgspec.Struct, frozen=True):
    """A line of a manifest. But for `context` the fields are those of the object's entry (docs/format.md)."""

    key: str
    source: str
    day: str
    clock: str
    disposition: Disposition
    records: int
    plain_bytes: int
    stored_bytes: int
    sha256: str
    context: dict[str, str]  # what Amazon's clients must be given


async def manifest(ledger: Store, selection: Selection, retry: Retry) -> AsyncIterator[Listed]:
    """The selected objects, chain by chain in the order of names, in a chain by offsets.

    So what a chain gains comes behind what it had. Memory: one entry. Raises Fatal for an entry that lists
    under one workspace what may be another's, and as `walk` does.
    """
    async for entry in entries_of(ledger, retry):
        for stored in entry.objects:
            if selection.has(stored):
                yield _listed(entry, stored)


def _listed(entry: Entry, stored: StoredObject) -> Listed:
    chain = ChainId(entry.topic, entry.topic_id, entry.incarnation, entry.partition)
    if not is_named_for(chain, entry, stored):
        raise Fatal(
            f"{chain.entry(entry.first)} lists {stored.key!r} as an object of {stored.workspace}",
            remedy="Run `strongroom verify`, and restore the entry from its versions or a replica",
        )
    unit = Unit(stored.workspace, stored.source, stored.day, Clock(stored.clock))
    return Listed(
        key=stored.key,
        source=stored.source,
        day=stored.day,
        clock=stored.clock,
        disposition=stored.disposition,
        records=stored.records,
        plain_bytes=stored.plain_bytes,
        stored_bytes=stored.stored_bytes,
        sha256=stored.sha256,
        context=context_of(unit, stored.key),
    )
