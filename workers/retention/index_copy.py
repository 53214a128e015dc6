"""The copy of what a plan is made from, kept in the ledger's bucket between starts. A copy, and no more.

It can be lost, or deleted, at any time: the ledger has it all. Where it can't be read, or does not fit the
ledger, it is passed over. What it lists of a unit is read from the entries themselves before anything goes.
"""

import sys
from array import array

import msgspec
import structlog
import zstandard

from workers.intake.dispositions import Clock
from workers.ledger.chain import find
from workers.ledger.names import ChainId
from workers.retention import names
from workers.sealing.keys import Unit
from workers.store.port import Store
from workers.store.retry import Retry

FORMAT = 1
LEVEL = 3  # zstd
MOST = 4 * 1024**3  # bytes; beyond, what claims to be a copy is not unpacked

log = structlog.get_logger()


class ChainCopy(msgspec.Struct, frozen=True, array_like=True):
    """An intake chain as far as it was read. `first` and `digest`: its newest entry's, or the genesis'."""

    chain: tuple[str, str, int, int]
    first: int | None
    next: int
    digest: str
    closed: bool

    @property
    def id(self) -> ChainId:
        return ChainId(*self.chain)


class UnitCopy(msgspec.Struct, frozen=True, array_like=True):
    """`firsts`: by the chain's place in the copy, which entries list objects; int64, little endian."""

    unit: tuple[str, str, str, str]
    objects: int
    records: int
    stored_bytes: int
    firsts: dict[int, bytes]


class UnitChainCopy(msgspec.Struct, frozen=True, array_like=True):
    """Of a unit's chain up to `seq`: its disposals, how many objects they name, and what landed where."""

    unit: tuple[str, str, str, str]
    seq: int
    disposals: tuple[int, ...]
    certified: tuple[int, ...]
    disposed: int
    landed: tuple[tuple[tuple[str, str, str, str], int], ...]


class IndexCopy(msgspec.Struct, frozen=True, array_like=True):
    format: int
    at: int  # ms since the epoch: it holds all that was committed before
    entries: int
    chains: tuple[ChainCopy, ...]
    units: tuple[UnitCopy, ...]
    unit_chains: tuple[UnitChainCopy, ...]


_decoder = msgspec.msgpack.Decoder(IndexCopy)


def unit_of(parts: tuple[str, str, str, str]) -> Unit:
    workspace, source, day, clock = parts
    return Unit(workspace, source, day, Clock(clock))


def parts_of(unit: Unit) -> tuple[str, str, str, str]:
    return unit.workspace, unit.source, unit.day, str(unit.clock)


def packed(firsts: "array[int]") -> bytes:
    if sys.byteorder == "little":
        return firsts.tobytes()
    swapped = array("q", firsts)
    swapped.byteswap()
    return swapped.tobytes()


def unpacked(body: bytes) -> "array[int]":
    """Raises ValueError for what is not whole."""
    firsts = array("q")
    firsts.frombytes(body)
    if sys.byteorder != "little":
        firsts.byteswap()
    return firsts


def encode(copy: IndexCopy) -> bytes:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(msgspec.msgpack.encode(copy))


def decode(body: bytes) -> IndexCopy | None:
    """None for what is no copy, or one of another format."""
    try:
        if zstandard.frame_content_size(body) > MOST:
            return None
        copy = _decoder.decode(zstandard.ZstdDecompressor().decompress(body))
        for each in copy.units:
            for number, firsts in each.firsts.items():
                unpacked(firsts)
                if not 0 <= number < len(copy.chains):
                    return None
            unit_of(each.unit)
        for chain in copy.unit_chains:
            unit_of(chain.unit)
    except (zstandard.ZstdError, msgspec.MsgspecError, UnicodeDecodeError, ValueError, MemoryError):
        return None
    return copy if copy.format == FORMAT else None


async def load(store: Store, retry: Retry) -> IndexCopy | None:
    """None where there is none, or none that can be read. Raises Retryable. Requests: one."""
    got = await find(store, names.INDEX, retry)
    if got is None:
        return None
    copy = decode(got.body)
    if copy is None:
        log.warning("retention_index_unreadable", key=names.INDEX, remedy="None is needed: it is made anew")
    return copy


async def keep(store: Store, copy: IndexCopy, retry: Retry) -> int:
    """Over the one before; returns its size in bytes. Two workers' copies are alike: the last one stays."""
    body = encode(copy)
    await retry.call(lambda: store.put(names.INDEX, body))
    return len(body)
