"""Lists archived objects as the ledger says, each with what a reader needs to open it."""

from collections.abc import AsyncIterator

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import Clock, Disposition
from workers.ledger import unit_entries, verify_entries
from workers.ledger.entries import Entry
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import ChainId
from workers.ledger.shown import Selection, Showing, Shown
from workers.sealing.keys import Unit, context_of
from workers.store.port import Store
from workers.store.retry import Retry


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a manifest. But for the last two, fields are those of the object's entry (docs/format.md)."""

    key: str
    source: str
    day: str
    clock: str
    disposition: Disposition
    records: int
    plain_bytes: int
    stored_bytes: int
    sha256: str
    live: Ranges | msgspec.UnsetType = msgspec.UNSET  # the lines that count, where not all do
    context: dict[str, str]  # what Amazon's clients must be given


async def manifest(ledger: Store, selection: Selection, retry: Retry) -> AsyncIterator[Listed]:
    """The selected objects that have live records, in the order of Showing.all.

    So what a chain gains comes behind what it had. Memory: one entry, and what Showing holds. Raises Fatal
    for an entry that lists under one workspace what may be another's, and as `walk` does.
    """
    async for shown in Showing(ledger, selection, retry).all():
        yield _listed(shown)


def _listed(shown: Shown) -> Listed:
    stored, entry = shown.stored, shown.entry
    if isinstance(entry, Entry):
        chain = ChainId(entry.topic, entry.topic_id, entry.incarnation, entry.partition)
        where, named = chain.entry(entry.first), verify_entries.is_named_for(chain, entry, stored)
    else:
        where, named = entry.key, not unit_entries.why_misplaced(entry, stored)
    if not named:
        raise Fatal(
            f"{where} lists {stored.key!r} as an object of {stored.workspace}",
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
        live=msgspec.UNSET if shown.lines is None else shown.lines,
        context=context_of(unit, stored.key),
    )
