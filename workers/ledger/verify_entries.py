"""What one slot of a chain says of itself: an entry, or the closing that ends the chain. Pure."""

from collections import Counter
from typing import NamedTuple

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import STORED, Clock, Disposition, Group
from workers.ledger import entries
from workers.ledger.entries import FORMAT, Closing, Entry, StoredObject
from workers.ledger.names import ChainId
from workers.ledger.pack import Compression
from workers.ledger.verify_report import Kind, Report


class Slot(NamedTuple):
    """An entry or closing as it was found."""

    key: str
    first: int
    digest: str  # of its bytes
    document: Entry | Closing | None  # None: it can't be read, or is another place's


class _Format(msgspec.Struct):
    format: int = FORMAT


def judged(chain: ChainId, first: int, body: bytes, report: Report) -> Slot:
    """The slot, and into `report` whatever is wrong with it alone."""
    key = chain.entry(first)
    unread = Slot(key, first, entries.digest(body), None)
    try:
        written_as = msgspec.json.decode(body, type=_Format).format
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        written_as = FORMAT  # whatever it is, decoding says it better
    if written_as != FORMAT:
        report.found(Kind.UNKNOWN_FORMAT, key, f"its format is {written_as}, this program reads {FORMAT}")
        return unread
    try:
        document = entries.decode_slot(body, key)
    except Fatal as error:
        report.found(Kind.BROKEN_ENTRY, key, error.message)
        return unread
    if not entries.belongs(document, chain) or document.first != first:
        report.found(
            Kind.FOREIGN_ENTRY,
            key,
            f"it says that it is {document.first} of {document.topic}/{document.topic_id}."
            f"{document.incarnation}[{document.partition}]",
        )
        return unread
    if isinstance(document, Entry) and document.next <= first:
        report.found(Kind.BROKEN_ENTRY, key, f"it says that it ends at {document.next}")
        return unread
    if entries.encode(document) != body:
        report.found(Kind.NOT_CANONICAL, key, "its bytes are not the canonical JSON of what it says")
    if isinstance(document, Entry):
        _count(key, document, report)
    else:
        _close(key, document, report)
    return unread._replace(document=document)


def _count(key: str, entry: Entry, report: Report) -> None:
    report.entries += 1
    report.offsets += entry.next - entry.first
    for disposition, reasons in entry.counts.items():
        report.count(disposition, sum(reasons.values()))
    report.count(Disposition.GAP, entry.gaps)
    if entry.counted != entry.next - entry.first:
        report.found(
            Kind.MISCOUNT, key, f"it counts {entry.counted} offsets in [{entry.first}, {entry.next})"
        )
    held: Counter[Disposition] = Counter()
    for stored in entry.objects:
        held[stored.disposition] += stored.records
    for disposition in sorted(held.keys() | STORED):
        counted = sum(entry.counts.get(disposition, {}).values()) if disposition in STORED else 0
        if counted != held[disposition]:
            report.found(
                Kind.MISCOUNT, key, f"it counts {counted} {disposition}, its objects hold {held[disposition]}"
            )


def _close(key: str, closing: Closing, report: Report) -> None:
    report.closings += 1
    if closing.lost is None:
        report.lost_unknown += 1
    else:
        report.lost += closing.lost


def is_named_for(chain: ChainId, entry: Entry, stored: StoredObject) -> bool:
    """Whether the object has the one name that its entry could have given it: so no other can list it."""
    try:
        clock = Clock(stored.clock)
    except ValueError:
        return False
    group = Group(stored.workspace, stored.source, stored.day, stored.disposition, clock)
    return any(
        stored.key == chain.data(group, entry.first, entry.next, entry.attempt, compression.suffix)
        for compression in Compression
    )
