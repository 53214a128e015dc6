"""An object of a flush: planned of a group's lines, made by a thread, and then what its entry says of it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from workers.intake.dispositions import Group
from workers.intake.lines import Lines
from workers.ledger.disposed_units import UnitSealer
from workers.ledger.entries import StoredObject
from workers.sealing.format import Sealed
from workers.sealing.keys import Unit

# What a thread is given at once: a hand-over costs as much as a small object. With more at once nothing would
# be heard of a flush while the keys of many new units are made.
TOGETHER, HANDFUL = 1 << 20, 16  # plain bytes, objects


class Planned(NamedTuple):
    """An object that is to be."""

    number: int  # of its flush
    group: Group
    lines: Lines
    key: str


def handfuls_of(planned: Iterable[Planned], most: int) -> Iterator[list[Planned]]:
    """Of one object or up to `most`, in their order; more than one have TOGETHER bytes at most."""
    handful: list[Planned] = []
    size = 0
    for each in planned:
        size += each.lines.plain_bytes
        if handful and (len(handful) >= most or size > TOGETHER):
            yield handful
            handful, size = [], each.lines.plain_bytes
        handful.append(each)
    if handful:
        yield handful


class Made(NamedTuple):
    """An object that may be sent."""

    plain_bytes: int
    sealed: Sealed
    digest: str  # SHA-256 of the sealed body, in hex
    unit_key: UnitSealer


class Upload(NamedTuple):
    stored: StoredObject
    unit: Unit
    key: UnitSealer


def upload_of(group: Group, key: str, records: int, made: Made) -> Upload:
    """What the entry will say of the object at `key`, and what sealed it."""
    stored = StoredObject(
        key=key,
        workspace=group.workspace,
        source=group.source,
        day=group.day,
        disposition=group.disposition,
        clock=group.clock,
        records=records,
        plain_bytes=made.plain_bytes,
        stored_bytes=len(made.sealed.body),
        sha256=made.digest,
        key_generation=made.unit_key.generation,
    )
    return Upload(stored, unit_of(group), made.unit_key)


def unit_of(group: Group) -> Unit:
    return Unit(group.workspace, group.source, group.day, group.clock)
