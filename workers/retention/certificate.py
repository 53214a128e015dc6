"""The certificate of a disposal: what went, by which rule, by whom, and that it was looked for again.

Exactly one a dispose entry: its name follows from that entry's place, and it is written by a conditional PUT.
"""

from collections.abc import AsyncIterator, Sequence
from hashlib import sha256

import msgspec

from workers.errors import Fatal
from workers.intake.dispositions import Clock
from workers.ledger.chain import append, find
from workers.ledger.entries import StoredObject, Writer
from workers.ledger.walk import listed
from workers.retention import names
from workers.retention.names import CertificatePlace
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

FORMAT = 1


class Disposed(msgspec.Struct, frozen=True):
    """`sha256`: hex, over a line `{sha256 of the object}  {key}\\n` an object, in the order of keys."""

    objects: int
    records: int
    stored_bytes: int
    sha256: str


class Emptied(msgspec.Struct, frozen=True):
    """One bucket: what whoever ended the disposal found there and deleted. All was gone when it was listed
    again.

    `absent`: objects of which it found nothing: one that died before it had deleted them, or somebody else,
    or they never were in this replica. None: not counted, as before that was.
    """

    bucket: str
    versions: int
    delete_markers: int
    uploads: int  # multipart uploads that nobody had finished
    absent: int | None = None


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    kind: str = "disposal"
    workspace: str
    source: str
    day: str
    clock: str
    seq: int  # of the dispose entry in the unit's chain
    entry: str  # its name
    entry_sha256: str
    reason: str  # the rule
    words: str
    policy: dict[str, tuple[int, ...]]
    disposed: Disposed
    key: str  # the row of the unit's key
    key_disabled_at: int | None  # ms since the epoch, as the next ones; None: it was gone before
    disposed_at: int
    key_destroyed_at: int
    verified_at: int
    buckets: tuple[Emptied, ...]  # the data bucket, then its replicas
    worker: Writer
    host: str

    @property
    def name(self) -> str:
        return names.certificate(Unit(self.workspace, self.source, self.day, Clock(self.clock)), self.seq)


_decoder = msgspec.json.Decoder(Certificate)


def disposed(objects: Sequence[StoredObject], records: int) -> Disposed:
    """`records`: those that were live; the others had been moved or given up before."""
    digest = sha256()
    for stored in sorted(objects, key=lambda each: each.key):
        digest.update(f"{stored.sha256}  {stored.key}\n".encode())
    return Disposed(len(objects), records, sum(each.stored_bytes for each in objects), digest.hexdigest())


def encode(certificate: Certificate) -> bytes:
    return msgspec.json.encode(certificate, order="sorted")


def decode(body: bytes, where: str) -> Certificate:
    try:
        certificate = _decoder.decode(body)
        named = certificate.name
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise Fatal(f"{where} is no certificate: {error}", remedy="Restore it from its versions") from None
    if certificate.format != FORMAT or named != where:
        raise Fatal(f"{where} is the certificate of another disposal", remedy="Restore it from its versions")
    return certificate


async def issue(store: Store, certificate: Certificate, retry: Retry) -> bool:
    """False where there is one already: it stays, and says when it was."""
    body = encode(certificate)
    issued = await append(store, certificate.name, body, ours=body.__eq__, retry=retry)
    return issued.won


async def of(store: Store, unit: Unit, retry: Retry) -> list[Certificate]:
    """Those of one unit, in their order."""
    return [each async for each in read_all(store, retry, names.certificates_of(unit))]


async def read_all(store: Store, retry: Retry, prefix: str) -> AsyncIterator[Certificate]:
    """Those whose names begin so, in the order of names. Raises Fatal for one that is none."""
    async for place in issued(store, retry, prefix):
        where = names.certificate(*place)
        got = await find(store, where, retry)
        if got is not None:
            yield decode(got.body, where)


async def issued(
    store: Store, retry: Retry, prefix: str = names.CERTIFICATES
) -> AsyncIterator[CertificatePlace]:
    """All of them, or those whose names begin so. Requests: one a thousand."""
    async for stat in listed(store, prefix, retry):
        place = names.certificate_place(stat.key)
        if place is not None:
            yield place
