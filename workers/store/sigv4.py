"""AWS Signature Version 4 of one request, pure (AWS General Reference, "Create a signed AWS API request").

botocore's signer gives the same bytes for several times the CPU: docs/decisions/002-light-path.md.
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
PLAIN = "-_.~"  # besides letters and digits: what is not percent-encoded in a query


def authorization(
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    region: str,
    access_key: str,
    secret_key: str,
    query: str = "",
) -> str:
    """The `Authorization` header of a request to S3. Every one of `headers` is signed.

    `path` and `query` are percent-encoded as they will be sent, the one without the other; see `query_of`.
    `headers` has lower-case names, among them `host`, `x-amz-date` (`20261125T103000Z`) and
    `x-amz-content-sha256` (hex digest of the body).
    """
    signed = ";".join(sorted(headers))
    day = headers["x-amz-date"][:8]
    scope = scope_of(day, region, "s3")
    made = signature(
        method,
        path,
        headers,
        digest=headers["x-amz-content-sha256"],
        scope=scope,
        key=_s3_key(secret_key, day, region),
        query=query,
    )
    return f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={made}"


def query_of(parameters: Mapping[str, str]) -> str:
    """In the form and order that are signed, which is a good one to send."""
    return "&".join(
        f"{quote(name, safe=PLAIN)}={quote(parameters[name], safe=PLAIN)}" for name in sorted(parameters)
    )


def signature(
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    digest: str,
    scope: str,
    key: bytes,
    query: str = "",
) -> str:
    """In hex. `headers` are the signed ones, as in `authorization`; `digest` is the body's SHA-256 in hex."""
    names = sorted(headers)
    canonical = "\n".join(
        (
            method,
            path,
            query,
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            digest,
        )
    )
    to_sign = f"{ALGORITHM}\n{headers['x-amz-date']}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    return _hmac(key, to_sign).hex()


def scope_of(day: str, region: str, service: str) -> str:
    return f"{day}/{region}/{service}/aws4_request"


@lru_cache(maxsize=8)  # one a bucket's region and day; credentials that rotate push the old ones out
def _s3_key(secret_key: str, day: str, region: str) -> bytes:
    return signing_key(secret_key, day, region, "s3")


def signing_key(secret_key: str, day: str, region: str, service: str) -> bytes:
    """What signs with this secret on this day (YYYYMMDD), in this region, for this service."""
    key = _hmac(f"AWS4{secret_key}".encode(), day)
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    # not hmac.digest: that lets go of the GIL, and waits up to 5 ms for it where other threads are busy
    return hmac.new(key, message.encode(), "sha256").digest()
