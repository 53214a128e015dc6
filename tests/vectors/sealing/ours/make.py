"""Writes opens.json and refused.json: one sealed object, and the ways to spoil it (see ../README.md).

Run: python -m tests.vectors.sealing.ours.make
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from workers.intake.dispositions import Clock
from workers.sealing.format import LEGACY, V3, Sealed, seal
from workers.sealing.keys import (
    KEY_BYTES,
    Level,
    Secret,
    Unit,
    WrappingKey,
    canonical,
    context_of,
    service_context,
)

UNIT = Unit("acme", "web", "2026-11-25", Clock.MAIN)
OBJECT = "data/ws=acme/src=web/day=2026-11-25/accepted/raw-events-1.ndjson.zst"
PLAIN = b"PLANTED-PLAINTEXT: the payload that no refusal may show. " * 2
GENERATION = 1


def secret(name: str, length: int = KEY_BYTES) -> bytes:
    """Throw-away key material that follows from its name."""
    return hashlib.sha512(name.encode()).digest()[:length]


class Fixed(WrappingKey):
    """Wraps with an IV that follows from the context, so that the vectors are the same each time."""

    __slots__ = ()

    def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        iv = secret(repr(sorted(context.items())), 12)
        return self._header + iv + self._aead.encrypt(iv, key, self._header + canonical(context))


def unit_secret(unit: Unit) -> Secret:
    return Secret(secret("/".join(unit)))


def sealed(
    unit: Unit = UNIT, key: str = OBJECT, plain: bytes = PLAIN, generation: int = GENERATION
) -> Sealed:
    context, dek = context_of(unit, key), secret(f"dek {unit} {key}")
    wrapping = Fixed(
        unit_secret(unit), Level.DATA, workspace=unit.workspace, day=unit.day, generation=generation
    )
    wrapped = wrapping.wrap(dek, service_context(context))
    return seal(plain, dek=dek, msgid=secret(f"msgid {key}", 28), wrapped=wrapped, context=context)


GOOD = sealed()
OTHER = sealed(key=OBJECT.replace("-1.", "-2."))
OTHER_DAY = sealed(UNIT._replace(day="2026-11-24"))
OTHER_WORKSPACE = sealed(UNIT._replace(workspace="rival"))
OTHER_CLOCK = sealed(UNIT._replace(clock=Clock.QUARANTINE))
OTHER_GENERATION = sealed(generation=2)
CONTEXT = json.loads(GOOD.metadata["x-amz-t"])
BLOB = base64.b64decode(GOOD.metadata["x-amz-3"])


class Case(NamedTuple):
    name: str
    refusal: str
    body: bytes
    metadata: dict[str, str]
    asked: dict[str, str]


cases: list[Case] = []


def case(
    name: str,
    refusal: str,
    body: bytes = GOOD.body,
    metadata: dict[str, str] = GOOD.metadata,
    **asked: str,
) -> None:
    cases.append(Case(name, refusal, body, metadata, asked))


def flipped(data: bytes, at: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def header(**changes: str | None) -> dict[str, str]:
    """The good header with these changed: `c` for x-amz-c, and so on; None drops one."""
    changed = {**GOOD.metadata, **{f"x-amz-{name}": value for name, value in changes.items()}}
    return {name: value for name, value in changed.items() if value is not None}


def context(**changes: str | None) -> dict[str, str]:
    changed = {name: value for name, value in {**CONTEXT, **changes}.items() if value is not None}
    return header(t=json.dumps(changed))


def raw(short: str, edit: Callable[[bytes], bytes]) -> dict[str, str]:
    return header(**{short: b64(edit(base64.b64decode(GOOD.metadata[f"x-amz-{short}"])))})


body = GOOD.body
case("body: first byte flipped", "Damaged", flipped(body, 0))
case("body: middle byte flipped", "Damaged", flipped(body, len(body) // 2))
case("body: last ciphertext byte flipped", "Damaged", flipped(body, -17))
case("body: first tag byte flipped", "Damaged", flipped(body, -16))
case("body: last tag byte flipped", "Damaged", flipped(body, -1))
case("body: empty", "Damaged", b"")
case("body: one byte short of a tag", "Damaged", body[:15])
case("body: tag only", "Damaged", body[-16:])
case("body: without its tag", "Damaged", body[:-16])
case("body: half its tag", "Damaged", body[:-8])
case("body: one byte short", "Damaged", body[:-1])
case("body: first byte missing", "Damaged", body[1:])
case("body: a block short", "Damaged", body[:-32] + body[-16:])
case("body: first block missing", "Damaged", body[16:])
case("body: cut in half, as a lost part would", "Damaged", body[: len(body) // 2])
case("body: a byte appended", "Damaged", body + b"\0")
case("body: a block appended", "Damaged", body + bytes(16))
case("body: twice", "Damaged", body + body)
case("body: blocks swapped", "Damaged", body[16:32] + body[:16] + body[32:])
case("body: of another object", "Damaged", OTHER.body)
case("body: of another day", "Damaged", OTHER_DAY.body)
case("body: of another workspace", "Damaged", OTHER_WORKSPACE.body)
case("body: the plaintext itself", "Damaged", PLAIN)

case("commitment: flipped", "WrongCommitment", metadata=raw("d", lambda d: flipped(d, 3)))
case("commitment: zeros", "WrongCommitment", metadata=raw("d", lambda d: bytes(28)))
case("commitment: of another object", "WrongCommitment", metadata=header(d=OTHER.metadata["x-amz-d"]))
case("commitment: truncated", "MalformedHeader", metadata=raw("d", lambda d: d[:-1]))
case("commitment: too long", "MalformedHeader", metadata=raw("d", lambda d: d + b"\0"))
case("commitment: empty", "MalformedHeader", metadata=header(d=""))
case("commitment: not Base64", "MalformedHeader", metadata=header(d="!" * 40))
case("commitment: Base64 with a space", "MalformedHeader", metadata=header(d=GOOD.metadata["x-amz-d"] + " "))
case("commitment: twice", "MalformedHeader", metadata=header(d=",".join([GOOD.metadata["x-amz-d"]] * 2)))
D = GOOD.metadata["x-amz-d"]
LOOSE = (
    D[:37]
    + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".index(D[37]) | 1
    ]
    + D[38:]
)
case("commitment: unused Base64 bits set", "MalformedHeader", metadata=header(d=LOOSE))

case("message id: flipped", "WrongCommitment", metadata=raw("i", lambda i: flipped(i, 0)))
case("message id: of another object", "WrongCommitment", metadata=header(i=OTHER.metadata["x-amz-i"]))
case("message id: truncated", "MalformedHeader", metadata=raw("i", lambda i: i[:-1]))
case("message id: too long", "MalformedHeader", metadata=raw("i", lambda i: i + b"\0"))
case("message id: empty", "MalformedHeader", metadata=header(i=""))

for part, refusal, at in (
    ("magic", "MalformedKey", 0),
    ("version", "MalformedKey", 4),
    ("workspace", "ForeignKey", 5),
    ("day", "ForeignKey", 24),
    ("generation", "ForeignKey", 26),
    ("iv", "WrongKey", 27),
    ("ciphertext", "WrongKey", 39),
    ("tag", "WrongKey", -1),
):
    case(f"wrapped key: {part} flipped", refusal, metadata=header(**{"3": b64(flipped(BLOB, at))}))
case("wrapped key: truncated", "MalformedKey", metadata=header(**{"3": b64(BLOB[:-1])}))
case("wrapped key: too long", "MalformedKey", metadata=header(**{"3": b64(BLOB + b"\0")}))
case("wrapped key: empty", "MalformedKey", metadata=header(**{"3": ""}))
case("wrapped key: not Base64", "MalformedHeader", metadata=header(**{"3": "*" * 116}))
case("wrapped key: of the level above", "MalformedKey", metadata=header(**{"3": b64(b"SRK2" + BLOB[4:])}))
for whose, other, refusal in (
    ("another object", OTHER, "WrongKey"),
    ("another day", OTHER_DAY, "ForeignKey"),
    ("another workspace", OTHER_WORKSPACE, "ForeignKey"),
    ("another clock", OTHER_CLOCK, "WrongKey"),
    ("another generation", OTHER_GENERATION, "ForeignKey"),
):
    case(f"wrapped key: of {whose}", refusal, metadata=header(**{"3": other.metadata["x-amz-3"]}))

for name in V3:
    case(f"header: without {name}", "MalformedHeader", metadata=header(**{name.removeprefix("x-amz-"): None}))
case("header: none at all", "NotSealed", metadata={})
case("header: only names of others", "NotSealed", metadata={"content-kind": "ndjson"})
case(
    "header: longer than S3 stores",
    "MalformedHeader",
    metadata=header(t=" " * 2048 + GOOD.metadata["x-amz-t"]),
)
for name in sorted(LEGACY):
    case(f"mixed: V3 with {name}", "MixedVersions", metadata={**GOOD.metadata, name: "128"})
case(
    "downgrade: V1",
    "LegacyFormat",
    metadata={"x-amz-key": b64(BLOB), "x-amz-iv": b64(bytes(16)), "x-amz-matdesc": "{}"},
)
case(
    "downgrade: V2",
    "LegacyFormat",
    metadata={
        "x-amz-key-v2": b64(BLOB),
        "x-amz-iv": b64(bytes(12)),
        "x-amz-cek-alg": "AES/GCM/NoPadding",
        "x-amz-wrap-alg": "kms+context",
        "x-amz-matdesc": json.dumps({"aws:x-amz-cek-alg": "AES/GCM/NoPadding"}),
        "x-amz-tag-len": "128",
    },
)
case("downgrade: suite 114", "UnknownSuite", metadata=header(c="114"))
case("downgrade: suite 112", "UnknownSuite", metadata=header(c="112"))
case("suite: another spelling", "UnknownSuite", metadata=header(c="0115"))
case("suite: twice", "UnknownSuite", metadata=header(c="115,115"))
case("suite: empty", "UnknownSuite", metadata=header(c=""))
case("wrapping: raw AES", "UnknownWrapping", metadata=header(w="02"))
case("wrapping: RSA", "UnknownWrapping", metadata=header(w="22"))
case("wrapping: KMS without context", "UnknownWrapping", metadata=header(w="11"))
case("wrapping: twice", "UnknownWrapping", metadata=header(w="12, 12"))
case("wrapping: with a material description", "UnknownWrapping", metadata=header(m="{}"))

T = GOOD.metadata["x-amz-t"]
case("context: no JSON", "MalformedHeader", metadata=header(t=T[:-1]))
case("context: a list", "MalformedHeader", metadata=header(t=f"[{T}]"))
case("context: null", "MalformedHeader", metadata=header(t="null"))
case("context: a name twice", "MalformedHeader", metadata=header(t='{"day":"2026-11-24",' + T[1:]))
case("context: a number", "MalformedHeader", metadata=header(t='{"n":1,' + T[1:]))
case("context: nested", "MalformedHeader", metadata=header(t='{"n":{},' + T[1:]))
case("context: nested deeply", "MalformedHeader", metadata=header(t="[" * 2000))
case("context: not US-ASCII", "MalformedHeader", metadata=header(t='{"n":"é",' + T[1:]))
case("context: not US-ASCII, escaped", "MalformedHeader", metadata=header(t='{"n":"\\u00e9",' + T[1:]))
case("context: a control character", "MalformedHeader", metadata=header(t='{"n":"\\u0000",' + T[1:]))
case("context: without the suite", "MalformedHeader", metadata=context(**{"aws:x-amz-cek-alg": None}))
case("context: suite 114", "MalformedHeader", metadata=context(**{"aws:x-amz-cek-alg": "114"}))
case("context: of another object", "WrongContext", metadata=header(t=OTHER.metadata["x-amz-t"]))
for field, value in (
    ("workspace", "rival"),
    ("source", "app"),
    ("day", "2026-11-24"),
    ("clock", "quarantine"),
    ("object", "x"),
):
    case(f"context: another {field}", "WrongContext", metadata=context(**{field: value}))
    case(f"context: without {field}", "WrongContext", metadata=context(**{field: None}))
case("context: a pair more", "WrongContext", metadata=context(extra="pair"))

case("asked for: another object", "WrongContext", object=OBJECT.replace("-1.", "-2."))
case("asked for: another workspace", "WrongContext", workspace="rival")
case("asked for: another source", "WrongContext", source="app")
case("asked for: another day", "WrongContext", day="2026-11-24")
case("asked for: another clock", "WrongContext", clock="quarantine")
case("swapped whole: another object's bytes here", "WrongContext", OTHER.body, OTHER.metadata)
case("swapped whole: another day's bytes here", "WrongContext", OTHER_DAY.body, OTHER_DAY.metadata)
case(
    "swapped whole, context rewritten: another object's",
    "WrongKey",
    OTHER.body,
    {**OTHER.metadata, "x-amz-t": T},
)
case(
    "swapped whole, context rewritten: another day's",
    "ForeignKey",
    OTHER_DAY.body,
    {**OTHER_DAY.metadata, "x-amz-t": T},
)


def written(body: bytes, metadata: dict[str, str]) -> dict[str, object]:
    return {"body": b64(body), "metadata": metadata}


if __name__ == "__main__":
    here = Path(__file__).parent
    keyring = {"unit": list(UNIT), "object": OBJECT, "key": unit_secret(UNIT).hex(), "generation": GENERATION}
    opens = {**keyring, "plain": b64(PLAIN), **written(GOOD.body, GOOD.metadata)}
    refused = [
        {"name": c.name, "refusal": c.refusal, "asked": c.asked, **written(c.body, c.metadata)} for c in cases
    ]
    for name, content in (("opens", opens), ("refused", refused)):
        target = here / f"{name}.json"
        target.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")
    print(f"{len(cases)} refused")
