"""Every way to spoil a sealed object that has a name, and how it is refused: `cases`."""

import json
from typing import NamedTuple

from tests.vectors.sealing.ours.objects import (
    BLOB,
    DEK,
    GOOD,
    OBJECT,
    OTHER,
    OTHER_CLOCK,
    OTHER_DAY,
    OTHER_GENERATION,
    OTHER_SOURCE,
    OTHER_WORKSPACE,
    PLAIN,
    b64,
    context,
    flipped,
    header,
    holding,
    raw,
)  # fmt: skip
from workers.sealing.format import LEGACY, V3


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


body = GOOD.body
case("body: first byte flipped", "Damaged", flipped(body, 0))
case("body: middle byte flipped", "Damaged", flipped(body, len(body) // 2))
case("body: last ciphertext byte flipped", "Damaged", flipped(body, -17))
case("body: first tag byte flipped", "Damaged", flipped(body, -16))
case("body: middle tag byte flipped", "Damaged", flipped(body, -8))
case("body: last tag byte flipped", "Damaged", flipped(body, -1))
case("body: every byte of the tag zero", "Damaged", body[:-16] + bytes(16))
case("body: tag of another object", "Damaged", body[:-16] + OTHER.body[-16:])
case("body: tag before the ciphertext", "Damaged", body[-16:] + body[:-16])
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
case("body: of another source", "Damaged", OTHER_SOURCE.body)
case("body: of another clock", "Damaged", OTHER_CLOCK.body)
case("body: another object's appended", "Damaged", body + OTHER.body)
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
case("message id: twice", "MalformedHeader", metadata=header(i=",".join([GOOD.metadata["x-amz-i"]] * 2)))
case("message id: Base64 of the URL alphabet", "MalformedHeader", metadata=header(i="_" * 37 + "w=="))
case(
    "message id: without its padding",
    "MalformedHeader",
    metadata=header(i=GOOD.metadata["x-amz-i"].rstrip("=")),
)
case("message id: not US-ASCII", "MalformedHeader", metadata=header(i="é" + GOOD.metadata["x-amz-i"][1:]))
case(
    "commitment and message id: of another object",
    "WrongCommitment",
    metadata=header(d=OTHER.metadata["x-amz-d"], i=OTHER.metadata["x-amz-i"]),
)
case(
    "commitment and message id: exchanged",
    "WrongCommitment",
    metadata=header(d=GOOD.metadata["x-amz-i"], i=GOOD.metadata["x-amz-d"]),
)

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
case(
    "wrapped key: of a level that wraps no objects",
    "MalformedKey",
    metadata=header(**{"3": b64(b"SRK4" + BLOB[4:])}),
)
case("wrapped key: of a root key", "MalformedKey", metadata=header(**{"3": b64(b"SRK1\x01" + bytes(60))}))
case(
    "wrapped key: of version 2", "MalformedKey", metadata=header(**{"3": b64(BLOB[:4] + b"\x02" + BLOB[5:])})
)
case(
    "wrapped key: twice",
    "MalformedHeader",
    metadata=header(**{"3": ",".join([GOOD.metadata["x-amz-3"]] * 2)}),
)
case("wrapped key: twice over, as one", "MalformedKey", metadata=header(**{"3": b64(BLOB * 2)}))
case("wrapped key: the data key bare", "MalformedKey", metadata=header(**{"3": b64(DEK)}))
for length in (0, 16, 31, 33):
    case(f"wrapped key: holds {length} bytes", "MalformedKey", metadata=header(**{"3": b64(holding(length))}))
for whose, other, refusal in (
    ("another object", OTHER, "WrongKey"),
    ("another source", OTHER_SOURCE, "WrongKey"),
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
case(
    "header: longer than S3 stores, in a wrapped key", "MalformedHeader", metadata=header(**{"3": "A" * 2048})
)
case("header: nothing but empty values", "UnknownSuite", metadata=dict.fromkeys(GOOD.metadata, ""))
case("header: names in capitals", "NotSealed", metadata={k.upper(): v for k, v in GOOD.metadata.items()})
case(
    "header: S3's prefix still before each name",
    "NotSealed",
    metadata={f"x-amz-meta-{k}": v for k, v in GOOD.metadata.items()},
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
case(
    "mixed: a material description with V2",
    "MixedVersions",
    metadata={"x-amz-key-v2": b64(BLOB), "x-amz-m": "{}"},
)
case(
    "downgrade: V2 around this object's own key",
    "LegacyFormat",
    metadata={
        "x-amz-key-v2": GOOD.metadata["x-amz-3"],
        "x-amz-iv": b64(b"\x01" * 12),
        "x-amz-cek-alg": "AES/GCM/HkdfSha512/CommitKey",
        "x-amz-wrap-alg": "kms+context",
        "x-amz-matdesc": GOOD.metadata["x-amz-t"],
    },
)
case("downgrade: an instruction file", "LegacyFormat", metadata={"x-amz-crypto-instr-file": ""})
case("downgrade: suite 20", "UnknownSuite", metadata=header(c="20"))
case("downgrade: suite 114", "UnknownSuite", metadata=header(c="114"))
case("downgrade: suite 112", "UnknownSuite", metadata=header(c="112"))
case("suite: another spelling", "UnknownSuite", metadata=header(c="0115"))
case("suite: in hexadecimal", "UnknownSuite", metadata=header(c="0x0073"))
case("suite: with a space", "UnknownSuite", metadata=header(c="115 "))
case("suite: in Arabic digits", "UnknownSuite", metadata=header(c="\u0661\u0661\u0665"))
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
case("context: empty", "MalformedHeader", metadata=header(t=""))
case("context: an empty object", "MalformedHeader", metadata=header(t="{}"))
case("context: a string", "MalformedHeader", metadata=header(t=json.dumps(T)))
case("context: more behind it", "MalformedHeader", metadata=header(t=T + "{}"))
case("context: twice", "MalformedHeader", metadata=header(t=f"{T},{T}"))
case("context: a byte order mark", "MalformedHeader", metadata=header(t="\ufeff" + T))
case("context: single quotes", "MalformedHeader", metadata=header(t=T.replace('"', "'")))
case("context: a comma more", "MalformedHeader", metadata=header(t=T[:-1] + ",}"))
case("context: NaN", "MalformedHeader", metadata=header(t='{"n":NaN,' + T[1:]))
case("context: a pair twice, alike", "MalformedHeader", metadata=header(t='{"day":"2026-11-25",' + T[1:]))
case(
    "context: a name twice, spelled in two ways",
    "MalformedHeader",
    metadata=header(t='{"\\u0064ay":"2026-11-24",' + T[1:]),
)
case("context: half a surrogate pair", "MalformedHeader", metadata=header(t='{"n":"\\ud800",' + T[1:]))
case("context: DEL", "MalformedHeader", metadata=header(t='{"n":"\x7f",' + T[1:]))
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
for whose, other in (
    ("object", OTHER),
    ("workspace", OTHER_WORKSPACE),
    ("source", OTHER_SOURCE),
    ("day", OTHER_DAY),
    ("clock", OTHER_CLOCK),
):
    case(f"context: that of another {whose}", "WrongContext", metadata=header(t=other.metadata["x-amz-t"]))
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
for whose, other, refusal in (
    ("object", OTHER, "WrongKey"),
    ("workspace", OTHER_WORKSPACE, "ForeignKey"),
    ("source", OTHER_SOURCE, "WrongKey"),
    ("day", OTHER_DAY, "ForeignKey"),
    ("clock", OTHER_CLOCK, "WrongKey"),
):
    case(f"swapped whole: another {whose}'s bytes here", "WrongContext", other.body, other.metadata)
    rewritten = {**other.metadata, "x-amz-t": T}
    case(f"swapped whole, context rewritten: another {whose}'s", refusal, other.body, rewritten)
