"""AWS KMS's protocol, AWS JSON 1.1: what a body asks, and how it is answered. Pure.

Of KMS's operations there are Decrypt, for symmetric keys, and DescribeKey. Members of a request that are not
listed here are refused: to leave one out of account (DryRun, Recipient) could give away what it was to guard.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from workers.errors import Poison
from workers.intake.dispositions import Clock
from workers.keyservice.refusal import Code, Outcome, Refusal
from workers.sealing.keys import Unit, checked_unit

CONTENT_TYPE = "application/x-amz-json-1.1"
TARGET = re.compile(r"TrentService\.([A-Za-z]{1,64})", re.ASCII)
SYMMETRIC = "SYMMETRIC_DEFAULT"
ACCOUNT = "000000000000"  # KMS has accounts of twelve digits; we have one
ARN = f"arn:aws:kms:strongroom:{ACCOUNT}:key/"


class DecryptRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    ciphertext_blob: str
    encryption_context: dict[str, str] = {}
    key_id: str | None = None
    encryption_algorithm: str = SYMMETRIC
    grant_tokens: list[str] = []

    def __repr__(self) -> str:
        return "DecryptRequest()"


class DescribeKeyRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    key_id: str
    grant_tokens: list[str] = []


R = TypeVar("R", DecryptRequest, DescribeKeyRequest)


def operation_in(target: str) -> str:
    """The operation that x-amz-target names. Raises Refusal for what is none of KMS's."""
    found = TARGET.fullmatch(target)
    if found is None:
        raise Refusal(Code.UNKNOWN_OPERATION, Outcome.MALFORMED, "x-amz-target names no operation of KMS.")
    return found[1]


def parse(body: bytes, kind: type[R]) -> R:
    """Raises Refusal, and says nothing of what the body holds."""
    try:
        request = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Code.VALIDATION, Outcome.MALFORMED, f"The request can't be used: {error}.") from None
    if request.grant_tokens:
        raise Refusal(Code.VALIDATION, Outcome.MALFORMED, "There are no grants.")
    return request


def arn(workspace: str) -> str:
    """What a workspace's key is called."""
    return ARN + workspace


def check_key(key_id: str | None, workspace: str) -> None:
    """A request may leave out the key, or name it by its ARN or by the workspace alone. Raises Refusal."""
    if key_id is not None and key_id.removeprefix(ARN) != workspace:
        raise access_denied("The key is not that of this credential's workspace.")


def unit_in(context: Mapping[str, str]) -> Unit:
    """The unit that a context names. Raises Refusal where it names none; that nothing else is in it, and the
    rest is right, the wrapping proves."""
    try:
        return checked_unit(
            Unit(context["workspace"], context["source"], context["day"], Clock(context["clock"]))
        )
    except (KeyError, ValueError, Poison):
        raise invalid_ciphertext() from None


def blob_in(request: DecryptRequest) -> bytes:
    """Raises Refusal for what is no Base64 or for another algorithm."""
    if request.encryption_algorithm != SYMMETRIC:
        raise Refusal(Code.VALIDATION, Outcome.MALFORMED, f"The keys here are for {SYMMETRIC}.")
    try:
        return b64decode(request.ciphertext_blob, validate=True)
    except (binascii.Error, ValueError):
        raise Refusal(Code.SERIALIZATION, Outcome.MALFORMED, "CiphertextBlob is no Base64.") from None


def decrypted(workspace: str, plain: bytes) -> bytes:
    return msgspec.json.encode(
        {
            "EncryptionAlgorithm": SYMMETRIC,
            "KeyId": arn(workspace),
            "Plaintext": b64encode(plain).decode("ascii"),
        }
    )


def described(workspace: str) -> bytes:
    metadata: dict[str, Any] = {
        "AWSAccountId": ACCOUNT,
        "Arn": arn(workspace),
        "CustomerMasterKeySpec": SYMMETRIC,
        "Description": f"Strongroom: workspace {workspace}",
        "Enabled": True,
        "EncryptionAlgorithms": [SYMMETRIC],
        "KeyId": workspace,
        "KeyManager": "CUSTOMER",
        "KeySpec": SYMMETRIC,
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "MultiRegion": False,
        "Origin": "EXTERNAL",
    }
    return msgspec.json.encode({"KeyMetadata": metadata})


def refused(refusal: Refusal) -> bytes:
    return msgspec.json.encode({"__type": refusal.code.type, "message": refusal.message})


def access_denied(message: str) -> Refusal:
    return Refusal(Code.ACCESS_DENIED, Outcome.ACCESS_DENIED, message)


def invalid_ciphertext() -> Refusal:
    return Refusal(
        Code.INVALID_CIPHERTEXT,
        Outcome.INVALID_CIPHERTEXT,
        "The ciphertext does not open under this context.",
    )
