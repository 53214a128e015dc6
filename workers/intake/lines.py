"""The lines of a group, as a batch holds them until its flush."""

from collections.abc import Iterable, Iterator, Sequence

LF, CR = b"\n\r"


class Lines:
    """JSON texts without line breaks, in their order, as pieces of NDJSON: one a chunk.

    They hold on to no record: a million scattered ones that are freed a batch later cost more than all of the
    copying. For the same reason pieces of many groups are best views of one text (`Sorting.keep`).
    """

    __slots__ = ("_pieces", "_records", "plain_bytes")

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self._pieces: list[bytes | memoryview] = []
        self._records = 0
        self.plain_bytes = 0  # as NDJSON
        self.extend(lines)

    def extend(self, lines: Sequence[bytes]) -> None:
        """Copies these."""
        self.append(ndjson(lines), len(lines))

    def append(self, piece: bytes | memoryview, records: int) -> None:
        """The next lines, so many, each with its line feed."""
        if records:
            self._pieces.append(piece)
            self._records += records
            self.plain_bytes += len(piece)

    def __len__(self) -> int:
        return self._records

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.ndjson().split(b"\n")[:-1])

    def ndjson(self) -> bytes:
        """Each line and its line feed."""
        return b"".join(self._pieces)

    def clear(self) -> None:
        self._pieces.clear()
        self._records = self.plain_bytes = 0


def ndjson(lines: Iterable[bytes]) -> bytes:
    return b"\n".join((*lines, b""))


def one_line(line: bytes) -> bytes:
    """A JSON text on one line. In JSON a raw CR or LF stands between tokens only (RFC 8259, 2 and 7)."""
    return line.replace(b"\r", b" ").replace(b"\n", b" ")
