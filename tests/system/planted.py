"""Secrets that a test plants, and every way in which one could come to lie in something that was written."""

import base64
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import zstandard

UNPACKED_MAX = 64 * 1024 * 1024  # bytes


class Found(NamedTuple):
    secret: str  # its name
    form: str
    where: str


def forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Raw, as texts quote it, in Base64 at each alignment, in hexadecimal, URL-encoded."""
    yield "raw", secret
    yield "repr", repr(secret)[2:-1].encode()
    yield "text", secret.decode("latin-1").encode()
    yield "JSON", json.dumps(secret.decode("latin-1"))[1:-1].encode()
    yield "hex", secret.hex().encode()
    yield "HEX", secret.hex().upper().encode()
    yield "spaced hex", secret.hex(" ").encode()
    yield "URL", quote_from_bytes(secret, safe="").encode()
    yield "URL, all of it", "".join(f"%{byte:02X}" for byte in secret).encode()
    for shift, skip in ((0, 0), (1, 2), (2, 3)):
        whole = (shift + len(secret)) * 8 // 6  # digits that depend on nothing behind it
        for name, encode in (("Base64", base64.b64encode), ("URL Base64", base64.urlsafe_b64encode)):
            yield name, encode(bytes(shift) + secret)[skip:whole]


class Scan:
    """Looks for all forms of all secrets, also in what was compressed."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._needles: dict[bytes, tuple[str, str]] = {}
        for name, secret in secrets.items():
            for how, form in forms(secret):
                self._needles.setdefault(form, (name, how))  # several forms may be one
        assert all(len(needle) >= 12 for needle in self._needles), "too short to be found by its bytes"

    def __call__(self, where: str, said: bytes) -> list[Found]:
        texts = [said, *unpacked(said)]
        return [
            Found(name, how, where)
            for needle, (name, how) in self._needles.items()
            if any(needle in text for text in texts)
        ]

    def over(self, seen: Iterable[tuple[str, bytes]]) -> list[Found]:
        return [found for where, said in seen for found in self(where, said)]


def unpacked(said: bytes) -> Iterator[bytes]:
    """What comes of it where it is compressed, whatever may follow."""
    with suppress(zstandard.ZstdError):
        yield zstandard.ZstdDecompressor().decompressobj().decompress(said)
    with suppress(zlib.error):
        yield zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(said, UNPACKED_MAX)
