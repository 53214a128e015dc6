"""The sealed object: the Amazon S3 Encryption Client's format V3, suite 115 (docs/format.md). Pure.

AES-256-GCM under a key that the object commits to. Formats V1 and V2, and suite 114, bind no key: one object
could be made to open to two plaintexts (CVE-2025-14762, CVE-2025-14763, CVE-2025-14764), so they are refused.
Metadata names are those after `x-amz-meta-`.
"""

import binascii
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.sealing.keys import KEY_BYTES, SUITE_PAIR, TAG_BYTES, Secret, is_printable, service_context
from workers.sealing.refusals import (
    Damaged,
    LegacyFormat,
    MalformedContext,
    MalformedHeader,
    MixedVersions,
    NotSealed,
    TooLarge,
    UnknownSuite,
    UnknownWrapping,
    WrongCommitment,
    WrongContext,
)

SUITE = b"\x00\x73"  # ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 115
IV = b"\x01" * 12  # fixed: every object has a key of its own
MSGID_BYTES = 28
COMMITMENT_BYTES = 28
PLAIN_MAX = 2**31 - 1 - TAG_BYTES  # bytes, what one call of the library takes
METADATA_MAX = 2000  # bytes with names, what we write
S3_METADATA_MAX = 2048  # bytes, what S3 could have stored at most
PREFIX = "x-amz-meta-"

CIPHER, WRAPPED, WRAPPING, COMMITMENT, MSGID, CONTEXT = (
    "x-amz-c",
    "x-amz-3",
    "x-amz-w",
    "x-amz-d",
    "x-amz-i",
    "x-amz-t",
)
V3 = (CIPHER, WRAPPED, WRAPPING, COMMITMENT, MSGID, CONTEXT)
LEGACY = frozenset(
    {
        "x-amz-key",
        "x-amz-key-v2",
        "x-amz-iv",
        "x-amz-cek-alg",
        "x-amz-wrap-alg",
        "x-amz-matdesc",
        "x-amz-tag-len",
        "x-amz-crypto-instr-file",
    }
)
DESCRIPTION = "x-amz-m"  # V3's place for the context of raw AES and RSA wrapping, which we do not use
_json = msgspec.json.Encoder(order="sorted")
KMS_CONTEXT = "12"  # x-amz-w: wrapped by a key service under an encryption context


class Sealed(NamedTuple):
    body: bytes  # ciphertext, then the 16-byte tag
    metadata: dict[str, str]

    def __repr__(self) -> str:
        return f"Sealed({len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Header:
    """What an object's metadata says about how to open it. Claims only, until the body's tag has verified."""

    wrapped: bytes = field(repr=False)  # the data key, wrapped
    commitment: bytes = field(repr=False)  # 28 bytes
    msgid: bytes = field(repr=False)  # 28 bytes
    context: dict[str, str]  # as the key service wants it, with the suite's pair

    def require(self, expected: Mapping[str, str]) -> None:
        """Raises WrongContext unless the object is the expected one (without the suite's pair)."""
        if self.context != service_context(expected):
            raise WrongContext(
                f"object {expected.get('object', '')!r} carries the encryption context of another object",
                remedy="It was moved or altered: restore it from its versions",
            )


def derive(dek: bytes, msgid: bytes) -> tuple[Secret, bytes]:
    """The key that seals the body, and the 28 bytes that commit to it: HKDF-SHA512 (RFC 5869)."""
    prk = hkdf_extract(msgid, dek)
    key = Secret(hkdf_expand(prk, SUITE + b"DERIVEKEY", KEY_BYTES))
    return key, hkdf_expand(prk, SUITE + b"COMMITKEY", COMMITMENT_BYTES)


def hkdf_extract(salt: bytes, secret: bytes) -> Secret:
    return Secret(_hmac(salt, secret))


def hkdf_expand(prk: bytes, info: bytes, length: int) -> bytes:
    """One round, so up to 64 bytes: this is several times cheaper than the library's general HKDF."""
    if length > 64:
        raise ValueError("one round of HKDF-SHA512 gives 64 bytes")
    return _hmac(prk, info + b"\x01")[:length]


def _hmac(key: bytes, message: bytes) -> bytes:
    """Not hmac.digest: that lets go of the GIL, and waits up to 5 ms for it where other threads are busy."""
    return hmac.new(key, message, "sha512").digest()


def seal(
    plain: bytes | bytearray | memoryview,
    *,
    dek: bytes,
    msgid: bytes,
    wrapped: bytes,
    context: Mapping[str, str],
) -> Sealed:
    """Seals `plain` under `dek` (32 bytes) and `msgid` (28 bytes), a pair that must never be used again.

    `wrapped` is `dek` as the key above it wrapped it under `service_context(context)`. Raises TooLarge or
    MalformedContext.
    """
    if len(dek) != KEY_BYTES or len(msgid) != MSGID_BYTES:
        raise ValueError(f"a data key has {KEY_BYTES} bytes, a message id {MSGID_BYTES}")
    if len(plain) > PLAIN_MAX:
        raise TooLarge(f"{len(plain)} bytes do not fit in one object", remedy="Lower STRONGROOM_FLUSH_BYTES")
    if SUITE_PAIR[0] in context:
        raise MalformedContext(f"{SUITE_PAIR[0]} in an encryption context is the format's own")
    if not is_printable("".join(context) + "".join(context.values())):
        raise MalformedContext("an encryption context is not printable US-ASCII")
    key, commitment = derive(dek, msgid)
    metadata = {
        CIPHER: SUITE_PAIR[1],
        WRAPPED: _encode(wrapped),
        WRAPPING: KMS_CONTEXT,
        COMMITMENT: _encode(commitment),
        MSGID: _encode(msgid),
        CONTEXT: _json.encode(service_context(context)).decode("ascii"),
    }
    if size_of(metadata) > METADATA_MAX:
        raise MalformedContext(
            f"sealing header of {size_of(metadata)} bytes, S3 stores {METADATA_MAX}",
            remedy="Use shorter ids and topic names",
        )
    return Sealed(AESGCM(key).encrypt(IV, plain, SUITE), metadata)


def open_sealed(body: bytes | bytearray | memoryview, header: Header, dek: bytes) -> bytes:
    """The plaintext. Raises WrongCommitment before anything is decrypted, Damaged before any is released.

    The caller has already held `header.context` against the object that it asked for (Header.require).
    """
    key, commitment = derive(dek, header.msgid)
    if not hmac.compare_digest(commitment, header.commitment):
        raise WrongCommitment(
            f"object {header.context.get('object', '')!r} does not commit to this data key",
            remedy="Its header was altered: restore it from its versions",
        )
    try:
        return AESGCM(key).decrypt(IV, body, SUITE)
    except InvalidTag:
        raise Damaged(
            f"the {len(body)} bytes of object {header.context.get('object', '')!r} are not what was sealed",
            remedy="It was truncated or altered: restore it from its versions",
        ) from None


def size_of(metadata: Mapping[str, str]) -> int:
    """Bytes, counted the dearest way: with the prefix that S3 puts before each name."""
    return len("".join(metadata).encode() + "".join(metadata.values()).encode()) + len(PREFIX) * len(metadata)


def parse_header(metadata: Mapping[str, str]) -> Header:
    """Reads the sealing headers among `metadata`; other names are none of ours and are left alone.

    Raises NotSealed, LegacyFormat, MixedVersions, UnknownSuite, UnknownWrapping or MalformedHeader.
    """
    headers = _sealing_headers(metadata)
    if headers[CIPHER] != SUITE_PAIR[1]:
        raise UnknownSuite(
            f"algorithm suite {headers[CIPHER][:40]!r}, only 115 commits to its key",
            remedy="Seal the object again with a client that uses the default suite",
        )
    if headers[WRAPPING] != KMS_CONTEXT:
        raise UnknownWrapping(f"wrapping algorithm {headers[WRAPPING][:40]!r}, only 12 carries a context")
    return Header(
        wrapped=_decode(WRAPPED, headers[WRAPPED]),
        commitment=_decode(COMMITMENT, headers[COMMITMENT], COMMITMENT_BYTES),
        msgid=_decode(MSGID, headers[MSGID], MSGID_BYTES),
        context=_context(headers[CONTEXT]),
    )


def _sealing_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    headers = {name: value for name, value in metadata.items() if name.startswith("x-amz-")}
    old = LEGACY.intersection(headers)
    new = [name for name in (*V3, DESCRIPTION) if name in headers]
    if old and new:
        raise MixedVersions(f"headers of two formats: {', '.join(sorted([*old, *new]))}")
    if old:
        raise LegacyFormat(
            f"format V1 or V2 ({', '.join(sorted(old))}) does not commit to its key",
            remedy="Seal the object again with version 4 of the S3 Encryption Client or later",
        )
    if not new:
        raise NotSealed("the object carries no sealing header")
    if DESCRIPTION in headers:
        raise UnknownWrapping(f"{DESCRIPTION} belongs to wrapping without a key service")
    missing = [name for name in V3 if name not in headers]
    if missing:
        raise MalformedHeader(f"sealing header without {', '.join(missing)}")
    ours = {name: headers[name] for name in V3}
    if sum(map(len, ours.values())) > S3_METADATA_MAX:
        raise MalformedHeader("a sealing header longer than S3 stores")
    return ours


def _context(text: str) -> dict[str, str]:
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise MalformedHeader(f"{CONTEXT} is no JSON") from None
    if not isinstance(pairs, _Pairs) or len(dict(pairs)) != len(pairs):
        raise MalformedHeader(f"{CONTEXT} is no JSON object of distinct names")
    context = dict(pairs)
    if not all(isinstance(value, str) and is_printable(name + value) for name, value in pairs):
        raise MalformedHeader(f"{CONTEXT} holds something else than printable US-ASCII strings")
    if context.get(SUITE_PAIR[0]) != SUITE_PAIR[1]:
        raise MalformedHeader(f"{CONTEXT} does not bind the suite ({SUITE_PAIR[0]})")
    return context


class _Pairs(list[tuple[str, str]]):
    """A JSON object's pairs as written, so that a name written twice is seen."""


def _encode(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def _decode(name: str, text: str, length: int | None = None) -> bytes:
    try:
        raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (binascii.Error, ValueError):
        raise MalformedHeader(f"{name} is not Base64") from None
    if _encode(raw) != text:  # the unused bits of the last digit could carry anything
        raise MalformedHeader(f"{name} is not canonical Base64")
    if length is not None and len(raw) != length:
        raise MalformedHeader(f"{name} holds {len(raw)} bytes, not {length}")
    return raw
