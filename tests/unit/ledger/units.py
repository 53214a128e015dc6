"""Units to test chains with: intake objects that are only told of, and drafts that consume them."""

from collections.abc import Mapping, Sequence

from tests.unit.ledger.world import TOPIC_ID, WRITER
from workers.by import By
from workers.intake.dispositions import PLATFORM, UNCLAIMED, Clock, Disposition, Group
from workers.ledger import unit_chain, unit_entries
from workers.ledger.entries import StoredObject, digest
from workers.ledger.line_ranges import Ranges
from workers.ledger.names import ChainId, unit_output
from workers.ledger.unit_chain import Draft, UnitHead
from workers.ledger.unit_entries import Became, Consumed, Kind
from workers.sealing.keys import Unit
from workers.store.memory import MemoryStore

DAY = "2026-11-25"
MAIN = Unit("acme", "shop", DAY, Clock.MAIN)
QUARANTINE = Unit("acme", "shop", DAY, Clock.QUARANTINE)
NOBODYS = Unit(PLATFORM, UNCLAIMED, DAY, Clock.UNCLAIMED)
BY = By("ada", "desk", "a test", 1_764_000_000_000)
INTAKE = ChainId("raw-events", TOPIC_ID, 1, 0)


def group_in(unit: Unit) -> Group:
    """What is stored in a unit, but for flagged and dead letters."""
    kept = Disposition.ACCEPTED if unit.clock is Clock.MAIN else Disposition.QUARANTINED
    return Group(unit.workspace, unit.source, unit.day, kept, unit.clock)


def stored_as(key: str, group: Group, records: int) -> StoredObject:
    return StoredObject(
        key=key,
        **group._asdict(),
        records=records,
        plain_bytes=10 * records,
        stored_bytes=5 * records,
        sha256="0" * 64,
        key_generation=1,
    )


def intake(unit: Unit, first: int, records: int) -> StoredObject:
    """An object of a batch that began at `first`."""
    group = group_in(unit)
    return stored_as(INTAKE.data(group, first, first + records, f"{first:016x}"), group, records)


def output(unit: Unit, consumer: Unit, seq: int, attempt: str, records: int, number: int = 0) -> StoredObject:
    group = group_in(unit)
    return stored_as(unit_output(group, consumer, seq, number, attempt), group, records)


def draft(
    kind: Kind,
    consumed: Sequence[tuple[str, Ranges | None, int]],
    counts: Mapping[Became, int],
    outputs: Sequence[StoredObject] = (),
    attempt: str = "a" * 16,
) -> Draft:
    return Draft(
        kind=kind,
        attempt=attempt,
        writer=WRITER,
        by=BY,
        policy={"workspaces": (7,)},
        consumed=tuple(Consumed(*each) for each in consumed),
        counts={became: {"because": number} for became, number in counts.items()},
        outputs=tuple(outputs),
    )


def disposal(*objects: tuple[StoredObject, int], attempt: str = "a" * 16) -> Draft:
    """Of all that is live in the objects: so many records in each."""
    consumed = [(stored.key, None, count) for stored, count in objects]
    return draft(
        Kind.DISPOSE, consumed, {Became.DISPOSED: sum(count for _, count in objects)}, attempt=attempt
    )


LINES = 100  # of each of REPLAYED
REPLAYED = [intake(NOBODYS, number * LINES, LINES) for number in range(100)]


async def replayed(store: MemoryStore, length: int, at: UnitHead | None = None) -> UnitHead:
    """So many entries more, each of one record of REPLAYED: it went to MAIN or QUARANTINE by turns."""
    at = at or UnitHead(NOBODYS, 0, None, ())
    for number in range(at.seq, at.seq + length):
        attempt, line = f"{number:016x}", number % LINES
        moved = output(MAIN if number % 2 else QUARANTINE, NOBODYS, number + 1, attempt, 1)
        became = Became.ACCEPTED if number % 2 else Became.QUARANTINED
        consumed = [(REPLAYED[number // LINES].key, ((line, line),), 1)]
        entry = unit_chain._entry(at, draft(Kind.REPLAY, consumed, {became: 1}, [moved], attempt))
        unit_chain.check(at._replace(entries=()), entry)  # all of it would make this quadratic
        body = unit_entries.encode(entry)
        await store.put(entry.key, body)
        at = UnitHead(NOBODYS, entry.seq, digest(body), (*at.entries, entry))
    return at
