"""Our signature is botocore's, byte by byte."""

import datetime
from unittest import mock

from botocore import auth  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # ships no types
from hypothesis import given
from hypothesis import strategies as st

from workers.store.sigv4 import authorization, query_of

VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40)
KEY_BYTES = st.text(st.sampled_from("abcXYZ019-._~/%3D%20%C3%BC"), min_size=1, max_size=40)


def of_botocore(
    method: str, path: str, headers: dict[str, str], region: str, access_key: str, secret_key: str
) -> str:
    moment = datetime.datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.UTC)
    signer = auth.S3SigV4Auth(Credentials(access_key, secret_key), "s3", region)
    signed = {name: value for name, value in headers.items() if name not in ("host", "x-amz-date")}
    request = AWSRequest(method, f"https://{headers['host']}{path}", headers=signed)
    with (
        mock.patch.object(signer, "payload", lambda request: headers["x-amz-content-sha256"]),
        mock.patch.object(auth, "get_current_datetime", lambda: moment),
    ):
        signer.add_auth(request)
    return str(request.headers["Authorization"])


@given(
    path=KEY_BYTES,
    metadata=st.dictionaries(
        st.text(st.sampled_from("abcxyz-019"), min_size=1, max_size=12), VISIBLE, max_size=5
    ),
    moment=st.datetimes(datetime.datetime(2020, 1, 1), datetime.datetime(2040, 1, 1)),
    region=st.sampled_from(["us-east-1", "eu-central-1", "us-gov-west-1"]),
    secret=st.text(st.sampled_from("abcDEF/+123"), min_size=16, max_size=40),
    digest=st.binary(min_size=32, max_size=32),
)
def test_the_signature_is_botocores(
    path: str, metadata: dict[str, str], moment: datetime.datetime, region: str, secret: str, digest: bytes
) -> None:
    headers = {
        "host": "bucket.s3.example:9000",
        "x-amz-content-sha256": digest.hex(),
        "x-amz-date": moment.strftime("%Y%m%dT%H%M%SZ"),
        "x-amz-security-token": "token/with+signs==",
        "if-none-match": "*",
        **{f"x-amz-meta-{name}": value for name, value in metadata.items()},
    }
    path = f"/{path}"
    ours = authorization("PUT", path, headers, region=region, access_key="AKIA0", secret_key=secret)
    assert ours == of_botocore("PUT", path, headers, region, "AKIA0", secret)


@given(
    parameters=st.dictionaries(
        st.sampled_from(["versions", "delete", "prefix", "key-marker", "list-type", "max-keys"]),
        st.text(st.sampled_from("abcXYZ019-._~/%= +&?ü€\U0001f600\x01"), max_size=30),
    ),
    method=st.sampled_from(["GET", "POST"]),
)
def test_a_query_is_signed_as_botocore_signs_it(parameters: dict[str, str], method: str) -> None:
    headers = {"host": "s3.example", "x-amz-content-sha256": "0" * 64, "x-amz-date": "20261125T103000Z"}
    query = query_of(parameters)
    ours = authorization(method, "/b", headers, region="r", access_key="A", secret_key="s", query=query)
    path = f"/b?{query}" if query else "/b"
    assert ours == of_botocore(method, path, headers, "r", "A", "s")


def test_rotated_credentials_sign_differently() -> None:
    headers = {"host": "h", "x-amz-content-sha256": "0", "x-amz-date": "20261125T103000Z"}
    signed = [
        authorization("PUT", "/k", headers, region="r", access_key="AKIA0", secret_key=secret)
        for secret in ("old", "new", "old")
    ]
    assert signed[0] == signed[2] != signed[1]
