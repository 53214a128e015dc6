"""Signatures: each way in which a request may not be what its reader signed, and how it is refused."""

from collections.abc import Callable
from unittest import mock

import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # ships no types

from tests.contract.keystore.world import NOW
from tests.unit.keyservice.world import REGION, edited, sign, with_header
from workers.keyservice import signed
from workers.keyservice.refusal import Refusal
from workers.keyservice.signed import Request
from workers.sealing.keys import Reader

READER, SECRET = Reader("acme", "0123456789abcdef"), "s3cret"
BODY, TARGET = b'{"CiphertextBlob":"AA=="}', "TrentService.Decrypt"
MINUTE = 60_000  # ms


def good(**how: object) -> Request:
    return sign(BODY, TARGET, READER.access_key_id, SECRET, **how)  # type: ignore[arg-type]  # as sign has them


def proven(request: Request, *, now: int = NOW, secret: str = SECRET) -> Reader:
    claim = signed.read(request, region=REGION, now=now)
    signed.prove(request, claim, secret)
    return claim.reader


def authorization(edit: Callable[[str], str]) -> Request:
    return edited(good(), lambda name, value: [(name, edit(value) if name == "authorization" else value)])


def without_signing(name: str) -> Request:
    """As a client signs that leaves this header out."""
    whole = good()
    value = whole.header(name)
    kept = sign_without(name)
    return kept._replace(headers=[*kept.headers, (name, value)])


def sign_without(name: str) -> Request:
    """A request whose signature is right and lacks the header."""
    to_sign = SigV4Auth.headers_to_sign

    def fewer(signer: object, request: object) -> object:
        found = to_sign(signer, request)
        del found[name]
        return found

    with mock.patch.object(SigV4Auth, "headers_to_sign", fewer):
        request = good()
    return with_header(request, name, None)


def test_what_botocore_signs_is_proven() -> None:
    assert proven(good()) == READER
    assert proven(good(headers={"X-Amz-Meta": "a   b", "User-Agent": "not signed"})) == READER


@pytest.mark.parametrize("off", [-5 * MINUTE, 5 * MINUTE, 0])
def test_clocks_may_be_five_minutes_apart(off: int) -> None:
    assert proven(good(at=NOW + off)) == READER


INCOMPLETE, INVALID, MISSING, UNKNOWN = (
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "UnrecognizedClientException",
)
REFUSED: dict[str, tuple[Callable[[], Request], str]] = {
    "body altered": (lambda: good()._replace(body=BODY + b" "), INVALID),
    "body left out": (lambda: good()._replace(body=b""), INVALID),
    "target altered": (lambda: with_header(good(), "x-amz-target", "TrentService.DescribeKey"), INVALID),
    "host altered": (lambda: with_header(good(), "host", "elsewhere.example"), INVALID),
    "content type altered": (lambda: with_header(good(), "content-type", "text/plain"), INVALID),
    "date altered": (lambda: with_header(good(), "x-amz-date", stamp(NOW + 1000)), INVALID),
    "date of five minutes and a second ago": (lambda: good(at=NOW - 5 * MINUTE - 1000), INVALID),
    "date of five minutes and a second to come": (lambda: good(at=NOW + 5 * MINUTE + 1000), INVALID),
    "date no date": (lambda: with_header(good(), "x-amz-date", "20269999T999999Z"), INCOMPLETE),
    "date in another form": (lambda: with_header(good(), "x-amz-date", "2026-11-18 12:00"), INCOMPLETE),
    "scope of another day": (lambda: authorization(lambda v: v.replace("/2026", "/2025")), INVALID),
    "scope of another region": (lambda: good(region="eu-west-1"), INVALID),
    "scope of another service": (lambda: good(service="s3"), INVALID),
    "scope altered afterwards": (lambda: good_with_scope("kms/aws4_reques"), INCOMPLETE),
    "signature altered": (lambda: authorization(flipped), INVALID),
    "signature cut": (lambda: authorization(lambda v: v[:-1]), INCOMPLETE),
    "signature with more behind it": (
        lambda: authorization(lambda v: v + ", Signature=" + "0" * 64),
        INCOMPLETE,
    ),
    "no Authorization": (lambda: with_header(good(), "authorization", None), MISSING),
    "empty Authorization": (lambda: with_header(good(), "authorization", ""), INCOMPLETE),
    "another algorithm": (lambda: authorization(lambda v: v.replace("HMAC", "ECDSA-P256")), INCOMPLETE),
    "no Credential": (lambda: authorization(lambda v: v.replace("Credential=", "C=")), INCOMPLETE),
    "no SignedHeaders": (lambda: authorization(lambda v: v.replace("SignedHeaders=", "S=")), INCOMPLETE),
    "no Signature": (lambda: authorization(lambda v: v.partition(", Signature")[0]), INCOMPLETE),
    "a basic password": (lambda: authorization(lambda v: "Basic YWNtZTpzM2NyZXQ="), INCOMPLETE),
    "host not signed": (lambda: without_signing("host"), INCOMPLETE),
    "target not signed": (lambda: without_signing("x-amz-target"), INCOMPLETE),
    "date not signed": (lambda: without_signing("x-amz-date"), INCOMPLETE),
    "content type not signed": (lambda: without_signing("content-type"), INCOMPLETE),
    "another x-amz header not signed": (lambda: plus("x-amz-user-agent", "me"), INCOMPLETE),
    "signed header not there": (lambda: with_header(good(), "content-type", None), INCOMPLETE),
    "signed headers not in order": (lambda: authorization(disordered), INCOMPLETE),
    "signed header named twice": (
        lambda: authorization(lambda v: v.replace("host;", "host;host;")),
        INCOMPLETE,
    ),
    "Authorization twice": (lambda: plus("Authorization", good().header("authorization")), INCOMPLETE),
    "target twice": (lambda: plus("X-Amz-Target", "TrentService.DescribeKey"), INCOMPLETE),
    "date twice": (lambda: plus("X-Amz-Date", stamp(NOW)), INCOMPLETE),
    "host twice": (lambda: plus("Host", "elsewhere.example"), INCOMPLETE),
    "content type twice": (lambda: plus("Content-Type", "text/plain"), INCOMPLETE),
    "digest of another body": (lambda: good(headers={"X-Amz-Content-SHA256": "0" * 64}), INVALID),
    "digest left to the server": (
        lambda: good(headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"}),
        INVALID,
    ),
    "a session token": (lambda: good(headers={"X-Amz-Security-Token": "x"}), UNKNOWN),
    "a signed header beyond US-ASCII": (lambda: with_header(good(), "content-type", "ä"), INCOMPLETE),
    "presigned": (lambda: good()._replace(target="/?X-Amz-Signature=" + "0" * 64), INCOMPLETE),
    "another path": (lambda: good()._replace(target="/data"), INCOMPLETE),
    "another method": (lambda: good()._replace(method="GET"), INCOMPLETE),
    "an id without a workspace": (lambda: named("0123456789abcdef"), UNKNOWN),
    "an id without a number": (lambda: named("acme."), UNKNOWN),
    "an id of Amazon's": (lambda: named("AKIAIOSFODNN7EXAMPLE"), UNKNOWN),
    "an id that leads elsewhere": (lambda: named("..0123456789abcdef"), UNKNOWN),
}


def stamp(at: int) -> str:
    return good(at=at).header("x-amz-date")


def flipped(value: str) -> str:
    return value[:-1] + ("0" if value[-1] != "0" else "1")


def disordered(value: str) -> str:
    return value.replace("content-type;host;", "host;content-type;")


def good_with_scope(scope: str) -> Request:
    return authorization(lambda value: value.replace("kms/aws4_request", scope))


def plus(name: str, value: str) -> Request:
    request = good()
    return request._replace(headers=[*request.headers, (name, value)])


def named(access_key_id: str) -> Request:
    return sign(BODY, TARGET, access_key_id, SECRET)


@pytest.mark.parametrize("case", REFUSED)
def test_what_was_not_signed_like_this_is_refused(case: str) -> None:
    make, expected = REFUSED[case]
    with pytest.raises(Refusal) as refused:
        proven(make())
    assert refused.value.code.type == expected
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("how", "said"), [({"region": "eu-west-1"}, "eu-west-1"), ({"service": "s3"}, "service: 'kms'")]
)
def test_what_to_sign_for_is_said(how: dict[str, str], said: str) -> None:
    with pytest.raises(Refusal, match=said):
        proven(good(**how))


def test_another_secret_is_refused() -> None:
    with pytest.raises(Refusal, match=INVALID):
        proven(good(), secret="s3crets")


def test_a_request_that_is_sent_again_is_the_same_request() -> None:
    """Within the window: its sender learns what he learnt before (docs/decisions/018)."""
    request = good()
    assert proven(request) == proven(request, now=NOW + 4 * MINUTE) == READER
