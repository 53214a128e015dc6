"""The objects of units that are about to go, packed: some 100 bytes an object instead of 800.

An entry lists objects of all units of a day. Read for each unit anew, a day's entries are read as often as it
has units; so what was read for one is put here for all of them.
"""

from array import array
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
import zstandard

from workers.ledger.entries import StoredObject
from workers.sealing.keys import Unit

OBJECTS = 500_000  # that are kept; a unit with more is alone
CHUNK = 100  # objects that are packed together

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[StoredObject])


@dataclass(slots=True)
class _Packed:
    """`read`: by chain number, how many of the entries that list objects of the unit are in it."""

    chunks: list[bytes] = field(default_factory=list)
    read: dict[int, int] = field(default_factory=dict)
    objects: int = 0


class Shelf:
    """Memory: OBJECTS, packed, or one unit."""

    def __init__(self) -> None:
        self._units: OrderedDict[Unit, _Packed] = OrderedDict()
        self._objects = 0
        self._pack = zstandard.ZstdCompressor(level=1)
        self._unpack = zstandard.ZstdDecompressor()

    @property
    def kept(self) -> int:
        """Objects."""
        return self._objects

    def missing(self, unit: Unit, firsts: Mapping[int, "array[int]"]) -> dict[int, "array[int]"]:
        """Of the entries that list objects of the unit those that were not read yet: they only get more."""
        packed = self._units.get(unit)
        if packed is None:
            return {number: places[:] for number, places in firsts.items()}
        return {
            number: places[read:]
            for number, places in firsts.items()
            if (read := packed.read.get(number, 0)) < len(places)
        }

    def objects(self, unit: Unit) -> list[StoredObject]:
        packed = self._units.get(unit)
        if packed is None:
            return []
        self._units.move_to_end(unit)
        return [
            stored for chunk in packed.chunks for stored in _decoder.decode(self._unpack.decompress(chunk))
        ]

    def put(self, unit: Unit, chunks: Iterable[bytes], objects: int, read: Mapping[int, int]) -> None:
        """More of a unit. Those that nobody asked for longest make room."""
        packed = self._units.setdefault(unit, _Packed())
        packed.chunks += chunks
        packed.objects += objects
        for number, count in read.items():
            packed.read[number] = packed.read.get(number, 0) + count
        self._objects += objects
        self._units.move_to_end(unit)
        while self._objects > OBJECTS and len(self._units) > 1:
            self._objects -= self._units.popitem(last=False)[1].objects

    def keep_only(self, units: Iterable[Unit]) -> None:
        for unit in self._units.keys() - set(units):
            self._objects -= self._units.pop(unit).objects

    def packed(self, objects: list[StoredObject]) -> bytes:
        return self._pack.compress(_encoder.encode(objects))


class Gathering:
    """Objects of several units on their way to the shelf, where they get all at once or not at all."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._chunks: dict[Unit, list[bytes]] = {}
        self._open: dict[Unit, list[StoredObject]] = {}
        self._counts: dict[Unit, int] = {}

    def add(self, unit: Unit, stored: StoredObject) -> None:
        some = self._open.setdefault(unit, [])
        some.append(stored)
        self._counts[unit] = self._counts.get(unit, 0) + 1
        if len(some) == CHUNK:
            self._chunks.setdefault(unit, []).append(self._shelf.packed(some))
            some.clear()

    def end(self, read: Mapping[Unit, Mapping[int, int]]) -> None:
        for unit, counts in read.items():
            chunks = self._chunks.get(unit, [])
            if left := self._open.get(unit):
                chunks.append(self._shelf.packed(left))
            self._shelf.put(unit, chunks, self._counts.get(unit, 0), counts)
