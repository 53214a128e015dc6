"""What an intake chain holds: its genesis and its entries, as canonical JSON (docs/format.md, The ledger)."""

from hashlib import sha256
from typing import TypeVar

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import Disposition
from workers.ledger.names import ChainId

FORMAT = 1
FIRST_INCARNATION = 1


class Writer(msgspec.Struct, frozen=True):
    id: str  # the worker's name, for people
    version: str  # of the program


class Anchor(msgspec.Struct, frozen=True):
    """The chain's last record: fetched again at assignment, it proves that this is the same log."""

    offset: int
    sha256: str  # hex, of the record's value


class StoredObject(msgspec.Struct, frozen=True):
    key: str
    workspace: str
    source: str
    day: str  # YYYY-MM-DD, UTC
    disposition: Disposition
    clock: str  # with workspace, source and day: the unit whose key opens it
    records: int
    plain_bytes: int  # lines before compression
    stored_bytes: int
    sha256: str  # hex, of the stored (sealed) bytes
    key_generation: int


class Genesis(msgspec.Struct, frozen=True, kw_only=True):
    """Where a chain begins. Fixed by whoever wrote it first; every writer obeys the stored one."""

    format: int = FORMAT
    topic: str
    topic_id: str
    incarnation: int
    partition: int
    first: int
    attempt: str
    writer: Writer
    created_at: int  # ms since the epoch


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the offsets [first, next)."""

    format: int = FORMAT
    topic: str
    topic_id: str
    incarnation: int
    partition: int
    first: int
    next: int
    previous: str  # hex SHA-256 of the previous entry's bytes, of the genesis' for the first entry
    anchor: Anchor | None  # None while the chain has not held a record
    attempt: str  # random, one a batch, kept over its retries
    writer: Writer
    committed_at: int  # ms since the epoch
    policy: dict[
        str, tuple[int, ...]
    ]  # topic → highest offset applied a partition, when the batch was closed
    counts: dict[Disposition, dict[str, int]]
    gaps: int
    objects: tuple[StoredObject, ...]

    @property
    def counted(self) -> int:
        """Offsets that have a disposition; equal to `next - first` in every true entry."""
        return self.gaps + sum(sum(reasons.values()) for reasons in self.counts.values())


Document = TypeVar("Document", Genesis, Entry)

_encoder = msgspec.json.Encoder(order="sorted")


def encode(document: Genesis | Entry) -> bytes:
    return _encoder.encode(document)


def decode(kind: type[Document], body: bytes, where: str) -> Document:
    """Raises Fatal, naming `where`, for anything that is not a `kind` of this format."""
    try:
        document = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise broken(where, f"it is no {kind.__name__.lower()}: {error}") from None
    if document.format != FORMAT:
        raise broken(where, f"its format is {document.format}, this program reads {FORMAT}")
    return document


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def belongs(document: Genesis | Entry, chain: ChainId) -> bool:
    return chain == (document.topic, document.topic_id, document.incarnation, document.partition)


def broken(where: str, why: str) -> Fatal:
    return Fatal(
        f"the ledger is broken at {where}: {why}",
        remedy="Run `strongroom verify` to see all of it, and restore the object from a version or replica. "
        "Nothing of this partition is archived meanwhile",
    )
