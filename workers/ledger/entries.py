"""What an intake chain holds: its genesis and its entries, as canonical JSON (docs/format.md, The ledger)."""

from hashlib import sha256
from typing import Literal, TypeVar

import msgspec

from workers.intake.dispositions import Disposition
from workers.ledger.halts import CHAIN_BROKEN, ENTRY_TAMPERED, Halted
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


class After(msgspec.Struct, frozen=True):
    """The closing that opened a chain: whose, and its bytes' SHA-256 in hex."""

    topic_id: str
    incarnation: int
    closing: str


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
    after: After | msgspec.UnsetType = msgspec.UNSET  # only where a closing opened the chain


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


class Opens(msgspec.Struct, frozen=True):
    """Where the archive of a partition goes on behind a closed chain."""

    topic_id: str
    incarnation: int
    first: int


class AsFound(msgspec.Struct, frozen=True):
    """An entry that an operator accepted as broken: it counts for nothing, readers pass over it."""

    name: str  # within the chain, as 00000000000000000042.json, or genesis.json
    sha256: str | None  # of the bytes as they were found, in hex; None where there were none


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """Ends a chain: an operator put a loss on record. Takes the place of the entry that would come next, so
    that every late writer of the chain is fenced (docs/architecture.md, Losses)."""

    kind: Literal["closing"] = "closing"  # entries have no such field
    format: int = FORMAT
    topic: str
    topic_id: str
    incarnation: int
    partition: int
    first: int  # its place
    head: int  # up to here, holes and broken entries left out, the chain's entries count
    previous: str  # hex SHA-256 of the bytes of the newest entry as it was found, or of the genesis
    cause: str  # one of halts.ACKNOWLEDGED
    reason: str  # the operator's words
    actor: str
    host: str  # from which machine
    version: str  # of the program
    attempt: str  # random: tells two operators' closings apart
    committed_at: int  # ms since the epoch
    log: tuple[int, int]  # the log's bounds when it was decided
    lost: int | None  # offsets that are archived nowhere; None where nobody can know
    repeats: int | None  # offsets that the next chain may archive a second time; None as above
    broken: tuple[AsFound, ...]
    opens: Opens

    @property
    def opens_chain(self) -> ChainId:
        return ChainId(self.topic, self.opens.topic_id, self.opens.incarnation, self.partition)


class _Kind(msgspec.Struct, frozen=True):
    kind: str | None = None


Document = TypeVar("Document", Genesis, Entry, Closing)

_encoder = msgspec.json.Encoder(order="sorted")


def encode(document: Genesis | Entry | Closing) -> bytes:
    return _encoder.encode(document)


def decode_slot(body: bytes, where: str) -> Entry | Closing:
    """What a chain holds behind its genesis. Raises Halted, naming `where`, for anything else."""
    try:
        kind = msgspec.json.decode(body, type=_Kind).kind
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise broken(where, f"it is no entry: {error}") from None
    return decode(Entry, body, where) if kind is None else decode(Closing, body, where)


def opening(closing: Closing, closing_digest: str) -> Genesis:
    """The genesis that a closing calls for: the same whoever writes it."""
    return Genesis(
        topic=closing.topic,
        topic_id=closing.opens.topic_id,
        incarnation=closing.opens.incarnation,
        partition=closing.partition,
        first=closing.opens.first,
        attempt=closing.attempt,
        writer=Writer(closing.host, closing.version),
        created_at=closing.committed_at,
        after=After(closing.topic_id, closing.incarnation, closing_digest),
    )


def decode(kind: type[Document], body: bytes, where: str) -> Document:
    """Raises Halted, naming `where`, for anything that is not a `kind` of this format."""
    try:
        document = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise broken(where, f"it is no {kind.__name__.lower()}: {error}") from None
    if document.format != FORMAT:
        raise broken(where, f"its format is {document.format}, this program reads {FORMAT}")
    return document


def digest(body: bytes) -> str:
    return sha256(body).hexdigest()


def belongs(document: Genesis | Entry | Closing, chain: ChainId) -> bool:
    return chain == (document.topic, document.topic_id, document.incarnation, document.partition)


def broken(where: str, why: str) -> Halted:
    """Something is there, and is not what it must be."""
    return _broken(ENTRY_TAMPERED, where, why)


def missing(where: str, why: str) -> Halted:
    """Something is not there, and others say that it was."""
    return _broken(CHAIN_BROKEN, where, why)


def _broken(cause: str, where: str, why: str) -> Halted:
    return Halted(
        cause,
        f"the ledger is broken at {where}: {why}",
        remedy="Run `strongroom verify` to see all of it, and restore the object from a version or replica. "
        "Nothing of this partition is archived meanwhile. If there is none, put the loss on record: "
        "`strongroom ledger acknowledge`",
    )
