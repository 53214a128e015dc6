"""What is inside an object, recounted: lines, bytes, and whose records they are. Pure.

An envelope carries no offset, so that an accepted record stands in one object only is shown by count; a dead
letter names its offset.
"""

import binascii
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import zstandard

from workers.intake import envelope as envelopes
from workers.intake.dispositions import PLATFORM, Disposition
from workers.intake.envelope import Unreadable
from workers.ledger.entries import Entry, StoredObject
from workers.ledger.pack import unpacked
from workers.ledger.verify_report import Kind, Report

Owner = tuple[str, str]  # workspace, source


class _DeadLetter(msgspec.Struct, forbid_unknown_fields=True):
    offset: int
    reason: str
    bytes: str  # Base64 of the record's value


_decode_letter = msgspec.json.Decoder(_DeadLetter).decode


@dataclass
class Letters:
    """The dead letters of an entry."""

    offsets: set[int] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


def recount(
    stored: StoredObject, packed: bytes, owners: Mapping[str, Owner], letters: Letters, offsets: range | None
) -> Report:
    """Reads the lines of an opened object. Memory: a piece of it, a line, and the entry's dead letters.

    `offsets`: those of its entry, between which dead letters lie; None for an output of a unit entry, which
    may hold those of many.
    """
    report = Report(opened=1)
    if stored.disposition is Disposition.DEAD_LETTERED:
        lines: _Lines = _DeadLetters(letters, offsets)
    else:
        lines = _Envelopes(
            None if stored.workspace == PLATFORM else (stored.workspace, stored.source), owners
        )
    plain_bytes = 0
    try:
        for block in _blocks(unpacked(stored.key, packed)):
            plain_bytes += len(block)
            if plain_bytes > stored.plain_bytes:
                break
            lines.read(block)
    except (zstandard.ZstdError, zlib.error, EOFError) as error:
        report.found(Kind.DOES_NOT_UNPACK, stored.key, str(error))
        return report
    report.lines = lines.seen
    if plain_bytes > stored.plain_bytes:  # not read further: a few bytes may unpack to any number
        report.found(Kind.PLAIN_BYTES, stored.key, f"its lines have more than {stored.plain_bytes} bytes")
        return report
    if plain_bytes < stored.plain_bytes:
        report.found(
            Kind.PLAIN_BYTES,
            stored.key,
            f"its lines have {plain_bytes} bytes, its entry says {stored.plain_bytes}",
        )
    if lines.seen != stored.records:
        report.found(
            Kind.LINE_COUNT, stored.key, f"it holds {lines.seen} records, its entry says {stored.records}"
        )
    for kind, (count, number, what) in lines.wrong.items():
        report.found(kind, stored.key, f"{count} of {lines.seen} lines; line {number}: {what}")
    return report


def check_reasons(key: str, entry: Entry, letters: Letters, report: Report) -> None:
    """Once all objects of the entry were recounted."""
    counted = entry.counts.get(Disposition.DEAD_LETTERED, {})
    held = dict(letters.reasons)
    if held != {reason: count for reason, count in counted.items() if count}:
        report.found(
            Kind.DEAD_LETTER, key, f"it counts {_said(counted)}, its objects hold {_said(held) or 'none'}"
        )


def _said(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut behind the ends of lines. Raises EOFError where the last line has no end."""
    rest: list[bytes] = []
    for piece in pieces:
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield b"".join((*rest, piece[:cut]))
            rest.clear()
        rest.append(piece[cut:])
    if any(rest):
        raise EOFError("its last line has no end")


class _Lines:
    """Reads lines; `wrong` is kind → how many, the first one's number, and what is wrong with it."""

    def __init__(self) -> None:
        self.seen = 0
        self.wrong: dict[Kind, tuple[int, int, str]] = {}

    def read(self, block: bytes) -> None:
        """Whole lines, each with its end."""
        raise NotImplementedError

    def _is_wrong(self, kind: Kind, what: str) -> None:
        count, number, first = self.wrong.get(kind, (0, self.seen, what))
        self.wrong[kind] = (count + 1, number, first)


class _Envelopes(_Lines):
    """`owner`: whose records these must be; None where the platform keeps what belongs to nobody yet."""

    def __init__(self, owner: Owner | None, owners: Mapping[str, Owner]) -> None:
        super().__init__()
        self._owner, self._owners = owner, owners

    def read(self, block: bytes) -> None:
        lines = block.split(b"\n")
        lines.pop()
        decode, refused, owner = envelopes.decode, envelopes.REFUSED, self._owner
        right: set[str] = set()  # write keys that were looked up
        for line in lines:
            self.seen += 1
            try:
                try:
                    write_key = decode(line).write_key
                    if not line.isascii():
                        line.decode()  # what `decode` skipped may be no UTF-8
                except refused:
                    write_key = envelopes.read(line).write_key
            except Unreadable as refusal:
                self._is_wrong(Kind.NOT_AN_ENVELOPE, refusal.reason)
                continue
            if owner is not None and write_key not in right:
                if self._owners.get(write_key) == owner:
                    right.add(write_key)
                else:
                    self._is_foreign(write_key)

    def _is_foreign(self, write_key: str) -> None:
        found = self._owners.get(write_key)
        if found is None:
            self._is_wrong(Kind.UNKNOWN_WRITE_KEY, f"write key {write_key[:128]!r}")
        else:
            self._is_wrong(
                Kind.WRONG_WORKSPACE, f"write key {write_key[:128]!r} belongs to {'/'.join(found)}"
            )


class _DeadLetters(_Lines):
    def __init__(self, letters: Letters, offsets: range | None) -> None:
        super().__init__()
        self._letters, self._offsets = letters, offsets

    def read(self, block: bytes) -> None:
        lines = block.split(b"\n")
        lines.pop()
        for line in lines:
            self.seen += 1
            try:
                letter = _decode_letter(line)
                binascii.a2b_base64(letter.bytes, strict_mode=True)
            except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
                self._is_wrong(Kind.NOT_AN_ENVELOPE, f"no dead letter: {error}")
                continue
            self._letters.reasons[letter.reason] += 1
            if self._offsets is None:
                continue
            if letter.offset not in self._offsets:
                self._is_wrong(
                    Kind.DEAD_LETTER,
                    f"offset {letter.offset} is not in [{self._offsets.start}, {self._offsets.stop})",
                )
            elif letter.offset in self._letters.offsets:
                self._is_wrong(Kind.DEAD_LETTER, f"offset {letter.offset} comes twice")
            self._letters.offsets.add(letter.offset)
