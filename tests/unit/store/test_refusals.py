"""Each answer of S3 becomes the error whose remedy fits."""

import ssl

import pytest

from workers.errors import Fatal, StrongroomError
from workers.store.port import Conflict, Denied, NotFound, PreconditionFailed, Unavailable
from workers.store.refusals import NotImplementedByServer, code_in, head_refusal, refusal, unanswered

WHAT = "put s3://bucket/a/key"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchKey", NotFound),
        (404, "", NotFound),
        (404, "NoSuchBucket", Fatal),
        (412, "PreconditionFailed", PreconditionFailed),
        (409, "ConditionalRequestConflict", Conflict),
        (409, "OperationAborted", Conflict),
        (401, "", Denied),
        (403, "AccessDenied", Denied),
        (403, "SignatureDoesNotMatch", Denied),
        (403, "RequestTimeTooSkewed", Denied),
        (400, "ExpiredToken", Denied),
        (400, "InvalidAccessKeyId", Denied),
        (500, "InternalError", Unavailable),
        (502, "", Unavailable),
        (503, "SlowDown", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "", Unavailable),
        (429, "TooManyRequests", Unavailable),
        (400, "RequestTimeout", Unavailable),
        (400, "BadDigest", Unavailable),
        (400, "IncompleteBody", Unavailable),
        (307, "TemporaryRedirect", Unavailable),
        (301, "PermanentRedirect", Fatal),
        (400, "AuthorizationHeaderMalformed", Fatal),
        (501, "NotImplemented", NotImplementedByServer),
        (400, "InvalidRequest", Fatal),
        (400, "KeyTooLongError", Fatal),
        (405, "MethodNotAllowed", Fatal),
    ],
)
def test_an_answer_becomes_an_error(status: int, code: str, expected: type[StrongroomError]) -> None:
    error = refusal(WHAT, status, code)
    assert type(error) is expected
    assert error.message == f"{WHAT}: {status} {code}".rstrip()
    assert error.remedy or expected in (NotFound, Conflict, PreconditionFailed)


@pytest.mark.parametrize(
    ("status", "expected"), [(404, NotFound), (403, Denied), (400, Denied), (503, Unavailable)]
)
def test_an_answer_to_head_has_no_code(status: int, expected: type[StrongroomError]) -> None:
    assert type(head_refusal(WHAT, status)) is expected


def test_a_code_is_read_and_nothing_else_of_the_answer() -> None:
    body = b"<?xml?><Error><Code>SignatureDoesNotMatch</Code><StringToSign>secret</StringToSign></Error>"
    assert code_in(body) == "SignatureDoesNotMatch"
    assert code_in(b"<html>503</html>") == ""
    assert code_in(b"<Code>two\nlines</Code>") == ""


def test_no_answer_may_be_a_certificate_somewhere_in_its_causes() -> None:
    refused = ssl.SSLCertVerificationError(1, "x")
    refused.verify_message = "Hostname mismatch"
    try:
        try:
            raise refused
        except ssl.SSLError as error:
            raise OSError("connector") from error
    except OSError as error:
        said = unanswered(WHAT, error)
    assert "certificate was refused: Hostname mismatch" in said.message
    assert "name in its certificate" in said.remedy


def test_a_time_out_is_said_to_be_one() -> None:
    assert unanswered(WHAT, TimeoutError()).message == f"{WHAT}: no answer (timed out)"
