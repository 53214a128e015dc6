"""What an answer of S3, or its absence, means to a caller: each becomes one of the port's errors.

Messages name the operation, the object and the server's code. They quote nothing else of an answer and
nothing of a request: both can hold credentials.
"""

import re
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from workers.errors import Fatal, StrongroomError
from workers.store.port import Conflict, Denied, NotFound, PreconditionFailed, Unavailable

CHECK_CREDENTIALS = "Check the credentials and the bucket's policy"
TRY_AGAIN = "It passes, or the service is down: check its address, and try again"


class Beyond(StrongroomError):
    """416: the range begins where the object has ended. Not of the port: s3.py answers it."""


class NotImplementedByServer(Fatal):
    """501: this server lacks the operation."""


class Meaning(NamedTuple):
    error: type[StrongroomError]
    remedy: str = ""


_PASSING = Meaning(Unavailable, TRY_AGAIN)
_NO_ACCESS = Meaning(Denied, CHECK_CREDENTIALS)
_ELSEWHERE = Meaning(Fatal, "The bucket lives in another region: set its own")
_HOPELESS = Meaning(Fatal, "No retry mends this: see the code in the S3 API reference, Error responses")

# Amazon S3 API reference, "Error responses". A code says more than its status: many share 400 and 403.
_BY_CODE: Mapping[str, Meaning] = {
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "BadDigest": _PASSING,
    "ExpiredToken": _NO_ACCESS,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "IncompleteBody": _PASSING,
    "InvalidAccessKeyId": _NO_ACCESS,
    "InvalidToken": _NO_ACCESS,
    "NoSuchBucket": Meaning(Fatal, "Create the bucket, or name the one that exists"),
    "PermanentRedirect": _ELSEWHERE,
    "RequestTimeTooSkewed": Meaning(Denied, "Set this machine's clock: S3 allows it 15 minutes"),
    "RequestTimeout": _PASSING,
    "TokenRefreshRequired": _NO_ACCESS,
    "XAmzContentSHA256Mismatch": _PASSING,
}
_BY_STATUS: Mapping[int, Meaning] = {
    301: _ELSEWHERE,
    307: _PASSING,  # a bucket so new that its name is not known everywhere
    308: _ELSEWHERE,
    401: _NO_ACCESS,
    403: _NO_ACCESS,
    404: Meaning(NotFound),
    408: _PASSING,
    409: Meaning(Conflict),
    412: Meaning(PreconditionFailed),
    416: Meaning(Beyond),
    429: _PASSING,
    501: Meaning(
        NotImplementedByServer, "This server lacks the operation, or a header of it: use another one"
    ),
}

_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")


def code_in(body: bytes) -> str:
    """The error code in an S3 error document; empty where there is none."""
    found = _CODE.search(body)
    return found[1].decode() if found else ""


def refusal(what: str, status: int, code: str) -> StrongroomError:
    """The error that an HTTP status and S3 code stand for. `what` is the operation and its object."""
    meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or (_PASSING if status >= 500 else _HOPELESS)
    said = "" if code == str(status) else code  # botocore's code for an answer that has none
    return meaning.error(f"{what}: {status} {said}".rstrip(), remedy=meaning.remedy)


def head_refusal(what: str, status: int) -> StrongroomError:
    """The same for a HEAD, whose answer has no body: S3 answers 400 to an expired token and can't say so."""
    return refusal(what, status, "ExpiredToken" if status == 400 else "")


def no_credentials(what: str, error: BaseException, remedy: str = CHECK_CREDENTIALS) -> Denied:
    """The credentials' own source said no, or nothing."""
    return Denied(f"{what}: no credentials ({type(error).__name__})", remedy=remedy)


def unanswered(what: str, error: BaseException) -> Unavailable:
    """No answer: time-out, refused or lost connection, TLS that failed."""
    said = "timed out" if isinstance(error, TimeoutError) else type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientError):
            pass  # some of these are SSL errors by name, and without what those know
        elif isinstance(cause, ssl.SSLCertVerificationError):
            return Unavailable(
                f"{what}: the server's certificate was refused: {cause.verify_message}",
                remedy="Call it by the name in its certificate, and trust its authority (AWS_CA_BUNDLE)",
            )
        elif isinstance(cause, ssl.SSLError):
            return Unavailable(
                f"{what}: no TLS with the server: {cause.reason}",
                remedy="The server must speak TLS 1.2 with ECDHE and AES-GCM, or TLS 1.3",
            )
        elif isinstance(cause, OSError) and not isinstance(cause, TimeoutError):
            said = cause.strerror or type(cause).__name__
        cause = cause.__cause__ or cause.__context__
    return Unavailable(f"{what}: no answer ({said})", remedy=TRY_AGAIN)
