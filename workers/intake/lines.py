"""The lines of a group, as a batch holds them until its flush."""

from collections.abc import Iterator, Sequence

LF, CR = b"\n\r"


class Lines:
    """JSON texts without line breaks, in their order: a piece of NDJSON a chunk.

    A line is copied out of the record that brought it while the processor has it in its cache. Records that
    are freed a batch later, a million scattered ones, cost more than all of that copying.
    """

    __slots__ = ("_pieces", "_records")

    def __init__(self, lines: Sequence[bytes] = ()) -> None:
        self._pieces: list[bytes] = []
        self._records = 0
        self.extend(lines)

    def extend(self, lines: Sequence[bytes]) -> int:
        """How many bytes of NDJSON these add."""
        if not lines:
            return 0
        piece = b"\n".join(lines)
        self._pieces.append(piece)
        self._records += len(lines)
        return len(piece) + 1

    def __len__(self) -> int:
        return self._records

    def __iter__(self) -> Iterator[bytes]:
        return iter(b"\n".join(self._pieces).split(b"\n") if self._pieces else ())

    def ndjson(self) -> bytes:
        """Each line and its line feed."""
        return b"\n".join((*self._pieces, b""))

    def clear(self) -> None:
        self._pieces.clear()
        self._records = 0


def one_line(line: bytes) -> bytes:
    """A JSON text on one line. In JSON a raw CR or LF stands between tokens only (RFC 8259, 2 and 7)."""
    return line.replace(b"\r", b" ").replace(b"\n", b" ")
