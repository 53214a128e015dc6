"""What is fuzzed: any bytes, taken for a header, a wrapped key or a row, are refused or are the right ones.

An input is one letter, then what is tried:
- `H`: lines `name=value` of metadata (`c` for x-amz-c, and so on), an empty line, the body;
- `B`: a wrapped data key; `R`: a row of the keystore; `N`: a row's name.
"""

from base64 import b64decode
from collections.abc import Iterator

from tests.unit.sealing.cases import BODY, METADATA, OBJECT, PLAIN, opener, unit_of
from tests.vectors.sealing.load import vectors
from workers.errors import Fatal, Poison
from workers.sealing.format import COMMITMENT_BYTES, MSGID_BYTES, parse_header
from workers.sealing.keys import (
    Level,
    Reader,
    Unit,
    WrappingKey,
    context_of,
    generation_in,
    new_key,
    service_context,
)
from workers.sealing.refusals import Refused
from workers.sealing.rows import State, UnitRow, decode, encode, named, reader_row, unit_row, workspace_row

SHORT = "x-amz-"
UNIT = unit_of()
ROW = unit_row(UNIT)
CONTEXT = service_context(context_of(UNIT, OBJECT))
KEY, WRAPPING, DEK = (
    opener(),
    WrappingKey(new_key(), Level.DATA, workspace=UNIT.workspace, day=UNIT.day, generation=1),
    new_key(),
)
GOOD_HEADER, GOOD_BLOB = parse_header(METADATA), WRAPPING.wrap(DEK, CONTEXT)


def try_one(data: bytes) -> None:
    """Raises for any answer but the right one and a refusal: what it raises has been found."""
    match data[:1]:
        case b"B":
            try_blob(data[1:])
        case b"R":
            try_row(data[1:])
        case b"N":
            try_name(data[1:].decode("latin-1"))
        case _:
            try_header(data[1:])


def try_header(data: bytes) -> None:
    lines, _, body = data.partition(b"\n\n")
    metadata: dict[str, str] = {}
    for line in lines.decode("utf-8", "replace").split("\n"):
        name, _, value = line.partition("=")
        metadata[name if name.startswith(SHORT) else SHORT + name] = value
    try:
        header = parse_header(metadata)
        assert (len(header.commitment), len(header.msgid)) == (COMMITMENT_BYTES, MSGID_BYTES)
        assert KEY.open(body, metadata, OBJECT) == PLAIN
        assert (body, header) == (BODY, GOOD_HEADER)
    except Refused as error:
        assert PLAIN[:16].decode() not in str(error)


def try_blob(blob: bytes) -> None:
    for level in Level:
        try:
            assert generation_in(blob, level) >= 0
        except Refused:
            continue
    try:
        assert WRAPPING.unwrap(blob, CONTEXT) == DEK
        assert blob == GOOD_BLOB
    except Refused:
        assert blob != GOOD_BLOB


def try_row(body: bytes) -> None:
    try:
        row = decode(body, ROW, ROW)
    except Fatal:
        return
    assert row.name == ROW
    assert row.state in set(State)
    assert decode(encode(row), ROW, ROW) == row


def try_name(name: str) -> None:
    try:
        owner = named(name)
    except Poison:
        return
    assert name.startswith("keys/v1/ws=")
    if isinstance(owner, Reader):
        assert reader_row(owner) == name
    elif isinstance(owner, Unit):
        assert unit_row(owner) == name
    else:
        assert workspace_row(owner) == name


def header_input(metadata: dict[str, str], body: bytes) -> bytes:
    lines = [f"{name.removeprefix(SHORT)}={value}" for name, value in metadata.items()]
    return b"H" + "\n".join(lines).encode() + b"\n\n" + body


def seeds() -> Iterator[bytes]:
    """The vectors as inputs, and one good one of each kind."""
    yield header_input(METADATA, BODY)
    for case in vectors("ours/refused.json"):
        yield header_input(case["metadata"], b64decode(case["body"]))
    yield b"B" + GOOD_BLOB
    for length in (0, 26, 27, 86, 88):
        yield b"B" + GOOD_BLOB.ljust(length, b"\0")[:length]
    row = UnitRow(
        workspace=UNIT.workspace,
        source=UNIT.source,
        day=UNIT.day,
        clock=str(UNIT.clock),
        changed_at=1,
        generation=1,
        under=1,
        wrapped="AAAA",
    )
    yield b"R" + encode(row)
    yield b"N" + ROW.encode()
    yield b"Nkeys/v1/ws=acme/l1.json"
