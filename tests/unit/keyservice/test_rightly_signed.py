"""Requests that were signed by the right secret and that must be refused nevertheless."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from tests.unit.keyservice.world import HOST, REGION, edited, with_header
from workers.keyservice import signed
from workers.keyservice.refusal import Refusal
from workers.keyservice.signed import Request
from workers.sealing.keys import Reader
from workers.store.sigv4 import ALGORITHM, scope_of, signature, signing_key

READER, SECRET = Reader("acme", "0123456789abcdef"), "s3cret"
BODY, STAMP = b"{}", "20261125T120000Z"
NOW_STAMPED = 1_795_608_000_000  # STAMP in ms since the epoch
HEADERS = {"host": HOST, "x-amz-date": STAMP, "x-amz-target": "TrentService.Decrypt"}


def rightly_signed(*, day: str = STAMP[:8], service: str = "kms", **more: str) -> Request:
    """By the secret itself, for the day and service that its scope names; `more` are headers, - written _."""
    headers = HEADERS | {name.replace("_", "-"): value for name, value in more.items()}
    scope = scope_of(day, REGION, service)
    made = signature(
        "POST",
        "/",
        headers,
        digest=sha256(BODY).hexdigest(),
        scope=scope,
        key=signing_key(SECRET, day, REGION, service),
    )
    claim = f"Credential={READER.access_key_id}/{scope}, SignedHeaders={';'.join(sorted(headers))}"
    authorization = f"{ALGORITHM} {claim}, Signature={made}"
    return Request("POST", "/", [*headers.items(), ("authorization", authorization)], BODY)


def without(name: str) -> Request:
    """As if this header had never been, in what is signed neither."""
    kept = ";".join(sorted({*HEADERS} - {name}))
    whole = edited(
        rightly_signed(), lambda each, value: [(each, value.replace(";".join(sorted(HEADERS)), kept))]
    )
    return with_header(whole, name, None)


def proven(request: Request) -> Reader:
    claim = signed.read(request, region=REGION, now=NOW_STAMPED)
    signed.prove(request, claim, SECRET)
    return claim.reader


def test_one_that_says_nothing_wrong_is_proven() -> None:
    assert proven(rightly_signed()) == READER
    assert proven(rightly_signed(x_amz_content_sha256=sha256(BODY).hexdigest())) == READER


REFUSED: dict[str, tuple[Callable[[], Request], str]] = {
    # the key of another day may be in others' hands: it is made to be given away
    "by the key of another day": (lambda: rightly_signed(day="20261124"), "InvalidSignatureException"),
    "by the key of another service": (lambda: rightly_signed(service="s3"), "InvalidSignatureException"),
    "that says another digest": (
        lambda: rightly_signed(x_amz_content_sha256="0" * 64),
        "InvalidSignatureException",
    ),
    "without a date": (lambda: without("x-amz-date"), "IncompleteSignatureException"),
    "without a target": (lambda: without("x-amz-target"), "IncompleteSignatureException"),
    "without a host": (lambda: without("host"), "IncompleteSignatureException"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_who_has_the_secret_may_be_refused(case: str) -> None:
    make, expected = REFUSED[case]
    with pytest.raises(Refusal) as refused:
        proven(make())
    assert refused.value.code.type == expected
