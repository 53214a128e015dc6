"""What an answer of AWS KMS means to a caller. Messages name the call, the key and the service's code."""

from collections.abc import Mapping

from workers.errors import Fatal, StrongroomError
from workers.sealing.refusals import WrongKey
from workers.store.port import Denied, Unavailable
from workers.store.refusals import TRY_AGAIN, Meaning

CHECK_GRANTS = "Check the credentials, the role's policy (deploy/iam/) and the key's own"
CHECK_KEY = "Check STRONGROOM_KMS_KEYS, its account and its region"

_PASSING = Meaning(Unavailable, TRY_AGAIN)
_NO_ACCESS = Meaning(Denied, CHECK_GRANTS)
_OFF = Meaning(Denied, "Enable the key in KMS, or cancel its deletion")
_WRONG = Meaning(WrongKey, "It was altered, or is another workspace's: restore its row from its versions")
_HOPELESS = Meaning(Fatal, CHECK_KEY)

# AWS KMS API reference: Encrypt, Decrypt, ReEncrypt, DescribeKey, and "Common errors". A code says more than
# its status: nearly all of them come with 400.
_BY_CODE: Mapping[str, Meaning] = {
    "AccessDeniedException": _NO_ACCESS,
    "DependencyTimeoutException": _PASSING,
    "DisabledException": _OFF,
    "ExpiredTokenException": _NO_ACCESS,
    "IncompleteSignature": _NO_ACCESS,
    "IncorrectKeyException": _WRONG,
    "InternalFailure": _PASSING,
    "InvalidCiphertextException": _WRONG,
    "InvalidClientTokenId": _NO_ACCESS,
    "InvalidSignatureException": Meaning(Denied, f"{CHECK_GRANTS}; set this machine's clock"),
    "KMSInternalException": _PASSING,
    "KMSInvalidStateException": _OFF,
    "KeyUnavailableException": _PASSING,
    "LimitExceededException": _PASSING,
    "MissingAuthenticationToken": _NO_ACCESS,
    "NotAuthorized": _NO_ACCESS,
    "NotFoundException": Meaning(
        Fatal, f"{CHECK_KEY}. If KMS has deleted the key, what only it wraps is lost"
    ),
    "OptInRequired": _NO_ACCESS,
    "RequestExpired": Meaning(Denied, "Set this machine's clock"),
    "ServiceUnavailable": _PASSING,
    "ThrottlingException": _PASSING,
    "UnrecognizedClientException": _NO_ACCESS,
}
_BY_STATUS: Mapping[int, Meaning] = {401: _NO_ACCESS, 403: _NO_ACCESS, 408: _PASSING, 429: _PASSING}


def refusal(what: str, status: int, code: str) -> StrongroomError:
    """The error that a status and a code stand for. `what` is the call and its key."""
    # some servers write the shape's whole name: com.amazonaws.kms#DisabledException
    code = code.rpartition("#")[2]
    meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or (_PASSING if status >= 500 else _HOPELESS)
    said = "" if code == str(status) else code  # botocore's code for an answer that has none
    return meaning.error(f"{what}: {status} {said}".rstrip(), remedy=meaning.remedy)


def unusable(what: str, kind: str) -> Fatal:
    """`kind` is the class of botocore's error, whose text may quote the call."""
    return Fatal(f"{what}: {kind}", remedy=CHECK_KEY)
