"""Rows of the keystore: what is stored of a key, and under which name (docs/format.md, Keys). A format.

```
keys/v1/ws={w}/l1.json                                  a workspace's keys, each wrapped by the root
keys/v1/ws={w}/src={s}/day={d}/clock={c}.json           a unit's key, wrapped by one of its workspace's
keys/v1/ws={w}/reader={n}.json                          a reader's secret, wrapped by one of its workspace's
keys/v1/tombstones/row/{the row's name after keys/v1/}  marks a row that is gone for good
keys/v1/tombstones/log/{seq:012d}.json                  which rows were withdrawn, in order (tombstones.py)
```
"""

import base64
import binascii
import re
from enum import StrEnum
from typing import TypeAlias

import msgspec

from workers.errors import Fatal, Poison
from workers.intake.dispositions import Clock
from workers.sealing.keys import Reader, Unit

PREFIX = "keys/v1/"
FORMAT = 1


class State(StrEnum):
    """A row is active → disabled → tombstone; the first step can be taken back, the second is final."""

    ACTIVE = "active"
    DISABLED = "disabled"
    TOMBSTONE = "tombstone"


class WorkspaceKey(msgspec.Struct, frozen=True):
    """One generation of a workspace's key. `wrapped`: a root's fingerprint → the key under it, Base64."""

    generation: int
    wrapped: dict[str, str]

    def __repr__(self) -> str:
        return f"WorkspaceKey(generation={self.generation})"


class _Row(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    format: int = FORMAT
    workspace: str
    state: State = State.ACTIVE
    revision: int = 1  # counts the row's changes: of two copies, the higher is the later
    changed_at: int  # ms since the epoch


class WorkspaceRow(_Row, frozen=True, kw_only=True, tag="workspace"):
    """`current` is the generation that wraps new units; older ones stay until nothing is under them."""

    current: int
    keys: tuple[WorkspaceKey, ...]

    @property
    def name(self) -> str:
        return workspace_row(self.workspace)


class UnitRow(_Row, frozen=True, kw_only=True, tag="unit"):
    """`generation` is the unit key's own; `under` the generation of the workspace's key that wraps it."""

    source: str
    day: str
    clock: str
    generation: int
    under: int
    wrapped: str

    def __repr__(self) -> str:
        return f"UnitRow({self.name}, {self.state}, revision {self.revision})"

    @property
    def name(self) -> str:
        return _unit_name(self.workspace, self.source, self.day, self.clock)


class ReaderRow(_Row, frozen=True, kw_only=True, tag="reader"):
    """`under` is the generation of the workspace's key that wraps the secret; times are ms since the epoch.

    `host`: the machine on which `who` made it.
    """

    number: str
    under: int
    wrapped: str
    made_at: int
    expires_at: int | None  # None: never
    who: str
    host: str

    def __repr__(self) -> str:
        return f"ReaderRow({self.name}, {self.state}, revision {self.revision})"

    @property
    def name(self) -> str:
        return reader_row(Reader(self.workspace, self.number))


Row: TypeAlias = WorkspaceRow | UnitRow | ReaderRow

_decoder = msgspec.json.Decoder(WorkspaceRow | UnitRow | ReaderRow)
_encoder = msgspec.json.Encoder(order="sorted")


def workspace_row(workspace: str) -> str:
    return f"{PREFIX}ws={workspace}/l1.json"


def unit_row(unit: Unit) -> str:
    return _unit_name(*unit)


def reader_row(reader: Reader) -> str:
    return f"{readers_of(reader.workspace)}{reader.number}.json"


def readers_of(workspace: str) -> str:
    """What the names of a workspace's readers begin with."""
    return f"{PREFIX}ws={workspace}/reader="


def _unit_name(workspace: str, source: str, day: str, clock: str) -> str:
    return f"{PREFIX}ws={workspace}/src={source}/day={day}/clock={clock}.json"


NAME = re.compile(
    r"keys/v1/ws=(?P<workspace>[\w-]+)/"
    r"(?:l1|reader=(?P<number>[0-9a-f]{16})|src=(?P<source>[\w-]+)/day=(?P<day>[\d-]+)/clock=(?P<clock>\w+))"
    r"\.json\Z",
    re.ASCII,
)


def named(name: str) -> Unit | Reader | str:
    """The unit, the reader, or the workspace, whose row is called `name`. Raises Poison for another name."""
    found = NAME.match(name)
    if found is None:
        raise Poison(f"{name[:200]!r} is no key row's name")
    workspace, number, source, day, clock = found.group("workspace", "number", "source", "day", "clock")
    if number is not None:
        return Reader(workspace, number)
    if source is None:
        return str(workspace)
    if clock not in set(Clock):
        raise Poison(f"{name[:200]!r} names no clock")
    return Unit(workspace, source, day, Clock(clock))


def marker_of(name: str) -> str:
    return f"{PREFIX}tombstones/row/{name.removeprefix(PREFIX)}"


def encode(row: Row) -> bytes:
    return _encoder.encode(row)


def decode(body: bytes, name: str, where: str) -> Row:
    """Raises Fatal for what is no row of this name: a person put it there."""
    try:
        row: Row = _decoder.decode(body)
        found = row.name
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Fatal(f"{where} is no key row: {error}", remedy="Restore it from its versions") from None
    if row.format != FORMAT:
        raise Fatal(f"{where} has format {row.format}", remedy="Use the version of Strongroom that wrote it")
    if found != name:
        raise Fatal(
            f"{where} holds the row of {found}", remedy="It was copied there: restore it from its versions"
        )
    return row


def to_text(blob: bytes) -> str:
    return base64.b64encode(blob).decode("ascii")


def to_blob(text: str, name: str) -> bytes:
    """Raises Fatal for what is no Base64."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Fatal(f"{name} holds no wrapped key", remedy="Restore it from its versions") from None
