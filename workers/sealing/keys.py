"""The key hierarchy's names and bytes: units, encryption contexts, and keys wrapped by the key above them.

Shapes are those of docs/format.md, Keys; they are formats and never change.
"""

import hashlib
import re
import secrets
import struct
from collections.abc import Mapping
from datetime import date
from enum import Enum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.ledger.names import ID, checked_id
from workers.sealing.refusals import ForeignKey, MalformedContext, MalformedKey, WrongKey

KEY_BYTES = 32
IV_BYTES = 12
TAG_BYTES = 16
BLOB_VERSION = 1
# magic 4 ‖ version 1 ‖ workspace 16 ‖ day 4 ‖ generation 2, then iv 12 ‖ ciphertext 32 ‖ tag 16
HEADER = struct.Struct(">4sB16sIH")
BLOB_BYTES = HEADER.size + IV_BYTES + KEY_BYTES + TAG_BYTES
# Amazon's clients add this pair to what the caller gave and hand the whole to the key service, so a key that
# was wrapped for suite 115 can't be asked for under another suite.
SUITE_PAIR = ("aws:x-amz-cek-alg", "115")

READER_DIGITS = 16
READER_NUMBER = re.compile(rf"[0-9a-f]{{{READER_DIGITS}}}\Z")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)


class Secret(bytes):
    """Key bytes that no repr, log line or rendered traceback shows."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<secret>"

    def __str__(self) -> str:
        return "<secret>"


class Level(Enum):
    """Which key a blob holds: one level's blob is never taken for another's."""

    UNIT = b"SRK2"  # L2, wrapped by L1
    DATA = b"SRK3"  # L3, wrapped by L2
    READER = b"SRK4"  # a reader's secret, wrapped by L1


class Unit(NamedTuple):
    """What shares a key, and so an end (docs/format.md, Keys)."""

    workspace: str
    source: str
    day: str  # UTC, YYYY-MM-DD
    clock: Clock


class Reader(NamedTuple):
    """Who may have data keys of one workspace unwrapped by the key service."""

    workspace: str
    number: str  # READER_DIGITS hex digits, random

    @property
    def access_key_id(self) -> str:
        """What it calls itself when it signs. No id of a workspace holds a dot."""
        return f"{self.workspace}.{self.number}"


def reader_of(access_key_id: str) -> Reader | None:
    """None for what is no reader's."""
    workspace, _, number = access_key_id.rpartition(".")
    return Reader(workspace, number) if ID.match(workspace) and READER_NUMBER.match(number) else None


def checked_unit(unit: Unit) -> Unit:
    """`unit` if its key can have a name, else Poison."""
    checked_id("workspace", unit.workspace)
    checked_id("source", unit.source)
    day_number(unit.day)
    if unit.clock not in set(Clock):
        raise Poison(f"clock {str(unit.clock)[:80]!r} is none of {', '.join(Clock)}")
    return unit


def day_number(day: str) -> int:
    """2026-11-25 as 20261125. Raises Poison for what is no day."""
    if DAY.match(day):
        try:
            date.fromisoformat(day)
            return int(day.replace("-", ""))
        except ValueError:
            pass
    raise Poison(f"day {day[:40]!r} is no day", remedy="Write it as YYYY-MM-DD, in UTC")


def new_key() -> Secret:
    return Secret(secrets.token_bytes(KEY_BYTES))


def checked_key(key: Secret) -> Secret:
    """`key` if it has the length of one: AES would take a shorter one too. Raises MalformedKey."""
    if len(key) != KEY_BYTES:
        raise MalformedKey(f"a key of {len(key)} bytes, not {KEY_BYTES}")
    return key


def context_of(unit: Unit, object_key: str) -> dict[str, str]:
    """The encryption context of an object: what Amazon's clients must be given to read it."""
    return {
        "clock": str(unit.clock),
        "day": unit.day,
        "object": object_key,
        "source": unit.source,
        "workspace": unit.workspace,
    }


def service_context(context: Mapping[str, str]) -> dict[str, str]:
    """`context` as the key service sees it and x-amz-t stores it."""
    return {**context, SUITE_PAIR[0]: SUITE_PAIR[1]}


def canonical(context: Mapping[str, str]) -> bytes:
    """One byte string for one context: count, then sorted pairs, each string after its length.

    Numbers have 16 bits, big endian. Raises MalformedContext for what is not printable US-ASCII: Amazon's
    clients disagree about anything else.
    """
    encoded = [len(context).to_bytes(2, "big")]
    for pair in sorted(context.items()):
        for text in pair:
            if not is_printable(text) or len(text) > 0xFFFF:
                raise MalformedContext(
                    f"encryption context {pair[0][:80]!r} is not printable US-ASCII",
                    remedy="Name workspaces, sources and objects in US-ASCII",
                )
            encoded += (len(text).to_bytes(2, "big"), text.encode("ascii"))
    return b"".join(encoded)


def is_printable(text: str) -> bool:
    """US-ASCII from space to tilde."""
    return text.isascii() and text.isprintable()


class WrappingKey:
    """An L1 or L2 key at work: it wraps the keys of the level below. Safe to share between threads.

    `generation` is the wrapping key's own; it stands in every blob, so that the right one is found again.
    """

    __slots__ = ("_aead", "_header", "generation", "level", "workspace")

    def __init__(self, key: Secret, level: Level, *, workspace: str, day: str, generation: int) -> None:
        self.level = level  # of what it wraps
        self.workspace = workspace
        self.generation = generation
        digest = hashlib.sha256(workspace.encode()).digest()[:16]
        self._header = HEADER.pack(level.value, BLOB_VERSION, digest, day_number(day), generation)
        self._aead = AESGCM(checked_key(key))

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """BLOB_BYTES bytes. The IV is random, which is good for 2³² keys (NIST SP 800-38D, 8.3)."""
        iv = secrets.token_bytes(IV_BYTES)
        return self._header + iv + self._aead.encrypt(iv, key, self._header + canonical(context))

    def unwrap(self, blob: bytes, context: Mapping[str, str]) -> Secret:
        """Raises MalformedKey, ForeignKey or WrongKey."""
        generation_in(blob, self.level)
        if blob[: HEADER.size] != self._header:
            raise ForeignKey(
                f"wrapped key is of another workspace, day or generation than {self.workspace}'s "
                f"generation {self.generation}"
            )
        iv, sealed = blob[HEADER.size : HEADER.size + IV_BYTES], blob[HEADER.size + IV_BYTES :]
        try:
            return Secret(self._aead.decrypt(iv, sealed, self._header + canonical(context)))
        except InvalidTag:
            raise WrongKey(
                f"a wrapped key of workspace {self.workspace} does not open under its context",
                remedy="It was altered, or belongs to another object: restore the object from its versions",
            ) from None


def generation_in(blob: bytes, level: Level) -> int:
    """Which generation of the key above wrapped `blob`. Raises MalformedKey."""
    if len(blob) != BLOB_BYTES:
        raise MalformedKey(f"a wrapped key of {len(blob)} bytes, not {BLOB_BYTES}")
    magic, version, _, _, generation = HEADER.unpack_from(blob)
    if magic != level.value or version != BLOB_VERSION:
        raise MalformedKey(f"no wrapped {level.name.lower()} key of version {BLOB_VERSION}")
    return int(generation)
