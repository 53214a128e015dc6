"""Packs the lines of a group into one compressed NDJSON body."""

import gzip
import threading
from enum import StrEnum

import zstandard


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
