"""Records that no intake can read, each with the reason it must be given. None has a line break."""

from collections.abc import Callable, Iterator
from random import Random

from workers.sample import values


def broken(random: Random, good: Callable[[], bytes]) -> Iterator[tuple[str, bytes]]:
    """(reason, bytes) pairs. `good` gives a sound envelope to spoil."""

    def cut() -> bytes:
        whole = good()
        return whole[: random.randrange(20, len(whole) - 1)]

    def garbled() -> bytes:
        """Invalid UTF-8 inside: a lone continuation byte, an overlong slash, half a surrogate, Latin-1."""
        whole = good()
        middle = whole.index(b'"messageId"')
        bad = random.choice((b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", "é".encode("latin-1")))
        return whole[:middle] + b'"note":"' + bad + b'",' + whole[middle:]

    def batch() -> bytes:
        """The body of an SDK's request, as somebody produces it past the collector."""
        return b'{"batch":[' + good().split(b'"event":', 1)[1][:-1] + b'],"writeKey":"batch"}'

    def version(v: bytes) -> bytes:
        return good().replace(b'{"v":1,', b'{"v":' + v + b",", 1)

    def without(field: bytes) -> bytes:
        return good().replace(b'"' + field + b'":', b'"x-' + field + b'":', 1)

    not_json: tuple[Callable[[], bytes], ...] = (
        cut,
        garbled,
        lambda: b"<html><head><title>502 Bad Gateway</title></head></html>",
        lambda: b"GET /v1/t?data=" + values.uuid(random).encode() + b" HTTP/1.1",
        lambda: good() + b"}",
        lambda: good().replace(b'"', b"'"),
        lambda: b'\xff\xfe{\x00"\x00v\x00"\x00:\x001\x00}\x00',
        lambda: b"undefined",
    )
    no_envelope: tuple[Callable[[], bytes], ...] = (
        batch,
        lambda: b"{}",
        lambda: b"null",
        lambda: b"42",
        lambda: b'"' + values.uuid(random).encode() + b'"',
        lambda: b"[" + good() + b"]",
        lambda: without(b"writeKey"),
        lambda: without(b"receivedAt"),
        lambda: without(b"event"),
    )
    unknown_version: tuple[Callable[[], bytes], ...] = (lambda: version(b"2"), lambda: version(b"17"))
    for reason, ways in (
        ("not_json", not_json),
        ("no_envelope", no_envelope),
        ("unknown_version", unknown_version),
    ):
        for way in ways:
            for _ in range(4):
                yield reason, way()
