"""A root key in AWS KMS: it never leaves the service, which wraps and unwraps workspaces' keys for us."""

import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from workers.errors import Fatal
from workers.sealing.keys import Secret, checked_key
from workers.sealing.refusals import MalformedKey

BLOB_MAX = 6144  # bytes: AWS KMS API reference, Decrypt, CiphertextBlob
ARN = re.compile(
    r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):\d{12}:(?P<kind>key|alias)/[A-Za-z0-9/_-]{1,250}\Z", re.ASCII
)
PREFIX = "kms:"  # of a fingerprint


class Wrapped(NamedTuple):
    blob: bytes
    key: str  # ARN of the key that wrapped it, as the service says
    source: str = ""  # of ReEncrypt: ARN of the key that it was wrapped by before


class Unwrapped(NamedTuple):
    plain: Secret
    key: str  # ARN of the key that opened it


class Kms(Protocol):
    """AWS KMS at one endpoint and region. `key` is an ARN; every call binds `context`.

    All raise Unavailable, Denied (a disabled key too) or Fatal.
    """

    async def describe(self, key: str) -> str:
        """The ARN of a key that is named by ARN, id or alias."""

    async def encrypt(self, key: str, plain: Secret, context: Mapping[str, str]) -> Wrapped: ...

    async def decrypt(self, key: str, blob: bytes, context: Mapping[str, str]) -> Unwrapped:
        """Raises WrongKey for a blob of another key or context."""

    async def re_encrypt(self, blob: bytes, source: str, target: str, context: Mapping[str, str]) -> Wrapped:
        """Raises WrongKey for a blob of another key than `source`, or of another context."""


class KmsRoot:
    """A key of KMS by its ARN. An answer that another key gave is refused."""

    def __init__(self, kms: Kms, arn: str) -> None:
        self._kms = kms
        self._arn = arn

    @property
    def fingerprint(self) -> str:
        return PREFIX + self._arn

    def __repr__(self) -> str:
        return f"KmsRoot({self.fingerprint})"

    @classmethod
    async def named(cls, kms: Kms, name: str) -> "KmsRoot":
        """`name`: a key's ARN, which is taken as it is; an id or alias, which is asked for.

        Raises Unavailable, Denied or Fatal where it must be asked for.
        """
        if _is_key(name):
            return cls(kms, name)
        arn = await kms.describe(name)
        if not _is_key(arn):
            raise Fatal(
                f"KMS says that key {name} is {arn[:200]!r}, which is no key's ARN", remedy=CHECK_SERVICE
            )
        return cls(kms, arn)

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        wrapped = await self._kms.encrypt(self._arn, Secret(key), context)
        _require("wrapped by", wrapped.key, self._arn)
        return _stored(wrapped.blob, self._arn)

    async def unwrap(self, blob: bytes, context: Mapping[str, str]) -> Secret:
        if not 1 <= len(blob) <= BLOB_MAX:
            raise MalformedKey(f"no key wrapped by KMS: {len(blob)} bytes")
        unwrapped = await self._kms.decrypt(self._arn, blob, context)
        _require("opened by", unwrapped.key, self._arn)
        return checked_key(unwrapped.plain)

    async def take_over(self, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> bytes | None:
        """By ReEncrypt, from a key of the same region."""
        for fingerprint, blob in wrapped.items():
            source = fingerprint.removeprefix(PREFIX)
            if source == fingerprint or region_of(source) != region_of(self._arn):
                continue
            again = await self._kms.re_encrypt(blob, source, self._arn, context)
            _require("opened by", again.source, source)
            _require("wrapped by", again.key, self._arn)
            return _stored(again.blob, self._arn)
        return None


CHECK_SERVICE = "Check STRONGROOM_KMS_ENDPOINT, and what stands between: it does not answer as AWS KMS does"


def region_of(arn: str) -> str:
    """Of a key's or an alias's ARN; empty for what is neither."""
    found = ARN.match(arn)
    return found["region"] if found else ""


def _is_key(arn: str) -> bool:
    found = ARN.match(arn)
    return found is not None and found["kind"] == "key"


def _require(how: str, answered: str, asked: str) -> None:
    if answered != asked:
        raise Fatal(f"asked for root key {asked}, KMS says {how} {answered[:200]!r}", remedy=CHECK_SERVICE)


def _stored(blob: bytes, arn: str) -> bytes:
    if not 1 <= len(blob) <= BLOB_MAX:
        raise Fatal(f"root key {arn} wrapped a key as {len(blob)} bytes", remedy=CHECK_SERVICE)
    return blob
