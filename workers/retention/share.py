"""What intake entries list of one unit: how much, and which entries they are. Not what became of it since."""

from array import array
from dataclasses import dataclass, field

from workers.ledger.entries import StoredObject
from workers.retention.index_copy import UnitCopy, packed, parts_of, unpacked
from workers.sealing.keys import Unit


@dataclass(slots=True)
class Share:
    """`firsts`: by the chain's number, of each entry that lists objects of the unit, its first offset."""

    objects: int = 0
    records: int = 0
    stored_bytes: int = 0
    firsts: dict[int, "array[int]"] = field(default_factory=dict)

    def count(self, stored: StoredObject, chain: int, first: int) -> None:
        self.objects += 1
        self.records += stored.records
        self.stored_bytes += stored.stored_bytes
        places = self.firsts.get(chain)
        if places is None:
            places = self.firsts[chain] = array("q")
        if not places or places[-1] != first:
            places.append(first)

    def copied(self, unit: Unit) -> UnitCopy:
        firsts = {number: packed(places) for number, places in self.firsts.items()}
        return UnitCopy(parts_of(unit), self.objects, self.records, self.stored_bytes, firsts)

    @classmethod
    def of(cls, copy: UnitCopy) -> "Share":
        firsts = {number: unpacked(body) for number, body in copy.firsts.items()}
        return cls(copy.objects, copy.records, copy.stored_bytes, firsts)
