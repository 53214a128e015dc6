"""Packs the lines of a group into one compressed NDJSON body."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from enum import StrEnum

import zstandard

PIECE = 1 << 20  # bytes


class Compression(StrEnum):
    ZSTD = "zstd"
    GZIP = "gzip"

    @property
    def suffix(self) -> str:
        """How the objects' names end."""
        return "ndjson.zst" if self is Compression.ZSTD else "ndjson.gz"


class Packer:
    """Compresses in the calling thread, without the GIL; safe to share between threads.

    zstd frames carry their content size; gzip members carry no time, so equal lines give equal bytes.
    """

    def __init__(self, compression: Compression, level: int) -> None:
        self.suffix = compression.suffix
        self._compression = compression
        self._level = level
        self._local = threading.local()  # a ZstdCompressor must not be used by two threads at once

    def pack(self, plain: bytes) -> bytes:
        if self._compression is Compression.GZIP:
            return gzip.compress(plain, self._level, mtime=0)
        compressor: zstandard.ZstdCompressor | None = getattr(self._local, "compressor", None)
        if compressor is None:
            compressor = self._local.compressor = zstandard.ZstdCompressor(level=self._level)
        return compressor.compress(plain)


def unpack(key: str, body: bytes) -> bytes:
    """The lines of an object named `key`. Memory: the whole object, which is at most a flush."""
    if key.endswith(Compression.GZIP.suffix):
        return gzip.decompress(body)
    return zstandard.ZstdDecompressor().decompress(body)


def unpacked(key: str, body: bytes) -> Iterator[bytes]:
    """The lines of an object named `key` in pieces of PIECE bytes at most, wherever those end.

    Memory: a piece. Raises zstandard.ZstdError or zlib.error for what can't be decompressed, and EOFError for
    what ends early.
    """
    if key.endswith(Compression.GZIP.suffix):
        yield from _gunzipped(body)
        return
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        expected, seen = zstandard.frame_content_size(body), 0
        while piece := reader.read(PIECE):
            seen += len(piece)
            yield piece
        if seen != expected:  # of frames that carry their size, as ours do
            raise EOFError(f"{seen} of {expected} bytes")


def _gunzipped(body: bytes) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    rest = body
    while not member.eof:
        piece = member.decompress(rest, PIECE)
        rest = member.unconsumed_tail
        if not piece and not rest and not member.eof:
            raise EOFError("the end is missing")
        yield piece
