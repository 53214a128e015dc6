"""AWS Signature Version 4 of one S3 request, pure (AWS General Reference, "Create a signed AWS API request").

botocore's signer gives the same bytes for several times the CPU: docs/decisions/002-light-path.md.
"""

import hmac
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

ALGORITHM = "AWS4-HMAC-SHA256"


def authorization(
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    region: str,
    access_key: str,
    secret_key: str,
) -> str:
    """The `Authorization` header. Every one of `headers` is signed.

    `path` is percent-encoded as it will be sent, without a query. `headers` has lower-case names, among them
    `host`, `x-amz-date` (`20261125T103000Z`) and `x-amz-content-sha256` (hex digest of the body).
    """
    names = sorted(headers)
    signed = ";".join(names)
    canonical = "\n".join(
        (
            method,
            path,
            "",
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            signed,
            headers["x-amz-content-sha256"],
        )
    )
    stamp = headers["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    to_sign = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    signature = _hmac(_signing_key(secret_key, stamp[:8], region), to_sign).hex()
    return f"{ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"


@lru_cache(maxsize=8)  # one a bucket's region and day; credentials that rotate push the old ones out
def _signing_key(secret_key: str, day: str, region: str) -> bytes:
    key = _hmac(f"AWS4{secret_key}".encode(), day)
    for part in (region, "s3", "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")
