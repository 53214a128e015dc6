"""A request's signature (AWS Signature Version 4), read and proven. Pure.

A request may be sent again within SKEW of its date: that gives its sender nothing that he did not have.
"""

import hmac
import re
from calendar import timegm
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from time import strptime
from typing import NamedTuple

from workers.keyservice.refusal import Code, Outcome, Refusal
from workers.sealing.keys import Reader, is_printable, reader_of
from workers.store.sigv4 import ALGORITHM, scope_of, signature, signing_key

SERVICE = "kms"
SKEW = 300  # seconds
AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=(?P<id>[^/, ]{{1,100}})/(?P<day>\d{{8}})/(?P<region>[^/, ]{{1,64}})/"
    r"(?P<service>[^/, ]{1,64})/aws4_request, *SignedHeaders=(?P<signed>[a-z0-9;-]{1,2000}), *"
    r"Signature=(?P<signature>[0-9a-f]{64})",
    re.ASCII,
)
STAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
MUST_BE_SIGNED = frozenset({"host", "x-amz-date", "x-amz-target"})
READ = frozenset({"authorization", "content-type", *MUST_BE_SIGNED})  # each stands once, or not at all


class Request(NamedTuple):
    """As it came. `headers` in their order, names as written; `target`: path and query as on the wire."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """The first of this name (lower case), or nothing."""
        return next((value for each, value in self.headers if each.lower() == name), "")


class Signed(NamedTuple):
    """What a signature claims: nothing of it is proven until `prove`."""

    reader: Reader
    day: str
    region: str
    headers: Mapping[str, str]  # the signed ones, by lower-case name
    signature: str


def read(request: Request, *, region: str, now: int) -> Signed:
    """What the request says of its signature. `now`: ms since the epoch. Raises Refusal."""
    if request.method != "POST" or request.target != "/":
        raise _unreadable("only a POST to / is served; signatures in the query are not")
    found = Counter(name.lower() for name, _ in request.headers)
    if not found["authorization"]:
        raise Refusal(Code.MISSING_TOKEN, Outcome.UNSIGNED, "The request has no Authorization header.")
    claim = AUTHORIZATION.fullmatch(request.header("authorization"))
    if claim is None:
        raise _unreadable("the Authorization header is not one of AWS4-HMAC-SHA256")
    signed = claim["signed"].split(";")
    if signed != sorted(set(signed)):
        raise _unreadable("SignedHeaders is not in order")
    if missing := MUST_BE_SIGNED.difference(signed):
        raise _unreadable(f"{', '.join(sorted(missing))} must be signed")
    if unsigned := [name for name in found if _matters(name) and name not in signed]:
        raise _unreadable(f"{', '.join(sorted(unsigned))[:200]} must be signed")
    if absent := [name for name in signed if not found[name]]:
        raise _unreadable(f"{', '.join(absent)[:200]} is signed and not there")
    if doubled := [name for name in READ.union(signed) if found[name] > 1]:
        raise _unreadable(f"{', '.join(sorted(doubled))[:200]} is there twice")
    headers = {name.lower(): value for name, value in request.headers if name.lower() in signed}
    if not all(is_printable(value.replace("\t", " ")) for value in headers.values()):
        raise _unreadable("a signed header is not printable US-ASCII")
    if "x-amz-security-token" in found:
        raise Refusal(Code.UNRECOGNIZED_CLIENT, Outcome.UNKNOWN_READER, "No session token was given out.")
    _check_scope(claim, headers["x-amz-date"], region, now)
    reader = reader_of(claim["id"])
    if reader is None:
        raise unknown_reader()
    return Signed(reader, claim["day"], claim["region"], headers, claim["signature"])


def prove(request: Request, signed: Signed, secret: str) -> None:
    """Raises Refusal unless `secret` signed just this request."""
    digest = sha256(request.body).hexdigest()
    expected = signature(
        request.method,
        request.target,
        signed.headers,
        digest=digest,
        scope=scope_of(signed.day, signed.region, SERVICE),
        key=signing_key(secret, signed.day, signed.region, SERVICE),
    )
    genuine = hmac.compare_digest(expected, signed.signature)
    if not genuine or signed.headers.get("x-amz-content-sha256", digest) != digest:
        raise bad_signature("The signature is not that of this request under this secret.")


def unknown_reader() -> Refusal:
    return Refusal(
        Code.UNRECOGNIZED_CLIENT, Outcome.UNKNOWN_READER, "The security token in the request is invalid."
    )


def bad_signature(message: str) -> Refusal:
    return Refusal(Code.INVALID_SIGNATURE, Outcome.BAD_SIGNATURE, message)


def _matters(name: str) -> bool:
    """What an unsigned header may not say: somebody on the way could have put it there."""
    return name.startswith("x-amz-") or name == "content-type"


def _check_scope(claim: re.Match[str], stamp: str, region: str, now: int) -> None:
    if claim["service"] != SERVICE:
        raise bad_signature(f"Credential should be scoped to correct service: '{SERVICE}'.")
    if claim["region"] != region:
        raise bad_signature(f"Credential should be scoped to a valid Region, not '{claim['region']}'.")
    try:
        sent = timegm(strptime(stamp, "%Y%m%dT%H%M%SZ")) if STAMP.fullmatch(stamp) else None
    except ValueError:
        sent = None
    if sent is None:
        raise _unreadable("x-amz-date is no date, as 20261125T103000Z")
    if stamp[:8] != claim["day"]:
        raise bad_signature("Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")
    if abs(now - sent * 1000) > SKEW * 1000:
        raise bad_signature(f"Signature expired or not yet current: {stamp} is more than {SKEW} s away.")


def _unreadable(why: str) -> Refusal:
    return Refusal(Code.INCOMPLETE_SIGNATURE, Outcome.UNSIGNED, f"The signature can't be read: {why}.")
