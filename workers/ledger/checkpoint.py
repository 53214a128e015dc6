"""A signed word on how far a chain had come: its newest entry's place and digest, and what it counted so far.

It proves to whoever has it that these entries were there (docs/format.md, Checkpoints). It never stands for
one, and no writer goes by it: to those who look for the head, its name says where to begin to look.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from topics.audit import AuditRecord
from workers.intake.dispositions import PLATFORM
from workers.ledger.chain import read
from workers.ledger.entries import Entry, Writer, digest
from workers.ledger.names import FIRST_DIGITS, ChainId
from workers.sealing.signing import Signer, Trust
from workers.store.port import Store
from workers.store.retry import Retry

FORMAT = 1
ROOT = "checkpoints/v1/"
TOPMOST = 10**FIRST_DIGITS - 1
DOMAIN = b"strongroom checkpoint 1\n"  # what is signed begins with it: a signature of ours says nothing else
NAME = re.compile(
    rf"{ROOT}(?P<topic>[^/]+)/(?P<topic_id>[^/]+)\.(?P<incarnation>\d+)/(?P<partition>\d{{5}})/"
    r"\d{20}-(?P<first>\d{20})\.json\Z",
    re.ASCII,
)


class Sums(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a chain's entries hold from the genesis on."""

    entries: int = 0
    offsets: int = 0
    gaps: int = 0
    records: dict[str, int] = msgspec.field(default_factory=dict)  # by disposition
    objects: int = 0
    plain_bytes: int = 0
    stored_bytes: int = 0

    def plus(self, entry: Entry) -> "Sums":
        records = dict(self.records)
        for disposition, reasons in entry.counts.items():
            records[str(disposition)] = records.get(str(disposition), 0) + sum(reasons.values())
        return Sums(
            entries=self.entries + 1,
            offsets=self.offsets + entry.next - entry.first,
            gaps=self.gaps + entry.gaps,
            records=records,
            objects=self.objects + len(entry.objects),
            plain_bytes=self.plain_bytes + sum(each.plain_bytes for each in entry.objects),
            stored_bytes=self.stored_bytes + sum(each.stored_bytes for each in entry.objects),
        )


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    format: int = FORMAT
    topic: str
    topic_id: str
    incarnation: int
    partition: int
    first: int  # of the newest entry, or the closing's place
    next: int  # where the next entry is due; of a closed chain, the closing's place
    sha256: str  # hex, of that entry's bytes
    sums: Sums
    at: int  # ms since the epoch
    by: Writer

    @property
    def chain(self) -> ChainId:
        return ChainId(self.topic, self.topic_id, self.incarnation, self.partition)

    @property
    def closed(self) -> bool:
        return self.first == self.next

    def says_as(self, other: "Checkpoint") -> bool:
        """The same of the chain, whoever says it and when."""
        return msgspec.structs.replace(self, at=other.at, by=other.by) == other


class _Signed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    checkpoint: msgspec.Raw
    key: str  # id of the public key
    signature: str  # Base64


class Vouched(NamedTuple):
    """A checkpoint whose signature was checked."""

    where: str  # store and key, or file: for people
    checkpoint: Checkpoint
    body: bytes  # as it is stored


class Forged(NamedTuple):
    where: str
    why: str


_encoder = msgspec.json.Encoder(order="sorted")


def prefix(chain: ChainId) -> str:
    return f"{ROOT}{chain.topic}/{chain.topic_id}.{chain.incarnation}/{chain.partition:05d}/"


def key_of(chain: ChainId, first: int) -> str:
    """Counts down in front, so that a listing begins with the newest."""
    return f"{prefix(chain)}{TOPMOST - first:020d}-{first:020d}.json"


def place(key: str) -> tuple[ChainId, int] | None:
    """Chain and `first`; None for a name that no checkpoint has."""
    match = NAME.match(key)
    if match is None:
        return None
    chain = ChainId(match["topic"], match["topic_id"], int(match["incarnation"]), int(match["partition"]))
    first = int(match["first"])
    return (chain, first) if key == key_of(chain, first) else None


def signed(checkpoint: Checkpoint, signer: Signer) -> bytes:
    body = _encoder.encode(checkpoint)
    return _encoder.encode(_Signed(msgspec.Raw(body), signer.key, signer.sign(DOMAIN + body)))


def opened(body: bytes, where: str, trust: Trust) -> Vouched | Forged:
    """Nothing of it is looked at before its signature was checked."""
    try:
        outer = msgspec.json.decode(body, type=_Signed)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Forged(where, f"it is no signed checkpoint: {error}")
    if not trust.signed(DOMAIN + bytes(outer.checkpoint), outer.key, outer.signature):
        return Forged(where, f"no key that is trusted has signed it (it names {outer.key[:16]!r})")
    try:
        found = msgspec.json.decode(outer.checkpoint, type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Forged(where, f"what is signed is no checkpoint: {error}")
    if found.format != FORMAT:
        return Forged(where, f"its format is {found.format}, this program reads {FORMAT}")
    return Vouched(where, found, body)


async def newest(
    store: Store, chain: ChainId, trust: Trust, retry: Retry, forged: list[Forged]
) -> Vouched | None:
    """The newest true checkpoint of the chain in this bucket; what is false and newer goes into `forged`.

    Requests: a list and a GET, and a list and a GET more for each that is false.
    """
    after = ""
    while (key := await first_key(store, prefix(chain), after, retry)) is not None:
        after, where = key, f"{store.name}/{key}"
        body = await read(store, key, retry)
        if body is None:
            continue
        found = opened(body, where, trust)
        if isinstance(found, Vouched):
            if place(key) == (found.checkpoint.chain, found.checkpoint.first):
                return found
            found = Forged(where, "it is another chain's checkpoint, or another place's")
        forged.append(found)
    return None


async def newest_place(store: Store, chain: ChainId, retry: Retry) -> int | None:
    """`first` of the newest, by its name alone: a place to look from, and nothing to believe. One request."""
    key = await first_key(store, prefix(chain), "", retry)
    found = None if key is None else place(key)
    return None if found is None else found[1]


async def first_key(store: Store, under: str, after: str, retry: Retry) -> str | None:
    """The first under that prefix and behind `after`. One request."""

    async def attempt() -> str | None:
        async for stat in store.list(under, after=after, limit=1):
            return stat.key
        return None

    return await retry.call(attempt)


def lines(body: bytes, where: str, trust: Trust) -> Mapping[str, Vouched | Forged]:
    """Of a file that holds one a line, by where each is."""
    found = {}
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            at = f"{where}:{number}"
            found[at] = opened(line.strip(), at, trust)
    return found


def met(checkpoint: Checkpoint, entry: bytes | None) -> bool:
    """Whether those bytes are those of the entry that it names."""
    return entry is not None and digest(entry) == checkpoint.sha256


def audit_record(vouched: Vouched, host: str) -> AuditRecord:
    """A copy for the audit topic, signature and all. The same checkpoint gives the same record."""
    found = vouched.checkpoint
    return AuditRecord(
        id=f"checkpoints/{found.topic_id}.{found.incarnation}/{found.partition}/{found.first}",
        workspace=PLATFORM,
        who=found.by.id,
        host=host,
        at=found.at,
        why="a checkpoint of the ledger",
        action="ledger.checkpoint",
        subject=f"{found.topic}[{found.partition}]",
        after=msgspec.Raw(vouched.body),
    )
