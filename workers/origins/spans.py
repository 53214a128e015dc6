"""Which offsets of a chain are folded: each counts once, however often it comes.

An observation sums a span up, so what two spans share can't be taken apart. It is subtracted: exactly where
one holds the other, which is what a worker sends that goes on from where another stopped; and from above
otherwise, so that nothing counts twice, and a record of such a rare overlap may not count at all.
"""

import msgspec

PIECES = 8  # that can still be told apart; below them all is folded


class Piece(msgspec.Struct, array_like=True, frozen=True):
    start: int
    end: int
    records: int  # at most so many are folded of it; exactly, unless spans overlapped halfway


class Spans(msgspec.Struct, array_like=True):
    """What is folded of one chain, for one (key, host)."""

    floor: int = 0  # below it nothing counts any more
    pieces: list[Piece] = msgspec.field(default_factory=list)

    def fold(self, start: int, end: int, records: int) -> int | None:
        """How many of a span's records are new. None: none of its offsets is."""
        over = [piece for piece in self.pieces if piece.start < end and start < piece.end]
        below = max(0, min(end, self.floor) - start)
        covered = below + sum(min(end, piece.end) - max(start, piece.start) for piece in over)
        open_offsets = end - start - covered
        if open_offsets <= 0:
            return None
        shared = below + sum(
            min(piece.records, min(end, piece.end) - max(start, piece.start)) for piece in over
        )
        self._keep(start, end, records, over)
        return min(max(0, records - shared), open_offsets)

    def _keep(self, start: int, end: int, records: int, over: list[Piece]) -> None:
        holds_all = all(start <= piece.start and piece.end <= end for piece in over)
        hull = Piece(
            max(self.floor, min((start, *(piece.start for piece in over)))),
            max((end, *(piece.end for piece in over))),
            records if holds_all else records + sum(piece.records for piece in over),
        )
        self.pieces = sorted((*(piece for piece in self.pieces if piece not in over), hull), key=_start)
        while len(self.pieces) > PIECES:
            self.floor = self.pieces.pop(0).end

    def folded_to(self) -> int:
        return self.pieces[-1].end if self.pieces else self.floor


def _start(piece: Piece) -> int:
    return piece.start
