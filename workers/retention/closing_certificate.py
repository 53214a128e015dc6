"""The certificate of a closed workspace: all of it is gone, its own key too. Exactly one, for ever."""

from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import NamedTuple

import msgspec

from workers.errors import Fatal
from workers.ledger.chain import append, find
from workers.ledger.entries import Writer, digest
from workers.ledger.walk import listed
from workers.retention import certificate, names
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

FORMAT = 1
KIND = "closing"


class Totals(msgspec.Struct, frozen=True):
    """Of a workspace's certificates. `sha256`: hex, over a line `{sha256 of it}  {name}\\n` each, by name."""

    units: int
    disposals: int
    objects: int
    records: int
    stored_bytes: int
    sha256: str


class ClosingCertificate(msgspec.Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    kind: str = KIND
    workspace: str
    reason: str
    words: str
    policy: dict[str, tuple[int, ...]]
    disposed: Totals  # of the certificates that were verified up to `verified_at`
    key: str  # the row of the workspace's key
    key_destroyed_at: int  # ms since the epoch, as the next one
    verified_at: int
    worker: Writer
    host: str

    @property
    def name(self) -> str:
        return names.closing_certificate(self.workspace)


class Summed(NamedTuple):
    totals: Totals
    newest: int  # when the last of them was verified; 0 for none


_decoder = msgspec.json.Decoder(ClosingCertificate)


def encode(issued: ClosingCertificate) -> bytes:
    return msgspec.json.encode(issued, order="sorted")


def decode(body: bytes, where: str) -> ClosingCertificate:
    try:
        found = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Fatal(f"{where} is no certificate: {error}", remedy="Restore it from its versions") from None
    if (found.format, found.kind, found.name) != (FORMAT, KIND, where):
        raise Fatal(f"{where} is the certificate of something else", remedy="Restore it from its versions")
    return found


async def read(store: Store, workspace: str, retry: Retry) -> ClosingCertificate | None:
    where = names.closing_certificate(workspace)
    got = await find(store, where, retry)
    return None if got is None else decode(got.body, where)


async def issue(store: Store, made: ClosingCertificate, retry: Retry) -> None:
    """One that is there already stays, and says when it was."""
    body = encode(made)
    await append(store, made.name, body, ours=body.__eq__, retry=retry)


async def issued(store: Store, retry: Retry, prefix: str = names.CERTIFICATES) -> AsyncIterator[str]:
    """Workspaces that have one, of all or of names that begin so. Requests: one a thousand certificates of
    any kind."""
    async for stat in listed(store, prefix, retry):
        workspace = names.closing_certificate_workspace(stat.key)
        if workspace is not None:
            yield workspace


async def summed(
    store: Store,
    workspace: str,
    retry: Retry,
    until: int | None = None,
    step: Callable[[], None] = lambda: None,
) -> Summed:
    """Of those verified up to `until` (ms since the epoch), or of all. Requests: one a certificate."""
    hashed, units, newest = sha256(), set[Unit](), 0
    disposals = objects = records = stored_bytes = 0
    async for place in certificate.issued(store, retry, names.certificates_of_workspace(workspace)):
        where = names.certificate(*place)
        got = await find(store, where, retry)
        step()
        if got is None:
            continue
        each = certificate.decode(got.body, where)
        if until is not None and each.verified_at > until:
            continue
        hashed.update(f"{digest(got.body)}  {where}\n".encode())
        units.add(place.unit)
        newest = max(newest, each.verified_at)
        disposals += 1
        objects += each.disposed.objects
        records += each.disposed.records
        stored_bytes += each.disposed.stored_bytes
    totals = Totals(len(units), disposals, objects, records, stored_bytes, hashed.hexdigest())
    return Summed(totals, newest)
