"""Where objects are sent, and that no setting loses the verified connection on the way."""

from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.loaders import JSONFileLoader  # type: ignore[import-untyped]  # ships no types

from tests.stack.authority import Authority
from workers.errors import Fatal
from workers.store.address import Address
from workers.store.connect import VerifiedConfig, http_session, open_session, refuse_clear_text
from workers.store.s3 import open_s3
from workers.tls import client_context


def test_a_merged_configuration_keeps_the_verified_session() -> None:
    session = http_session(client_context(), allow_http=False)
    merged = VerifiedConfig(http_session_cls=session).merge(AioConfig(read_timeout=7))
    assert merged.http_session_cls is session
    assert merged.read_timeout == 7


@pytest.mark.parametrize("url", ["http://s3.example", "http://10.0.0.7:9000", "http://localhost.example"])
async def test_clear_text_to_another_machine_is_refused(url: str) -> None:
    with pytest.raises(Fatal, match=url):
        await open_s3("bucket", endpoint=url, region="us-east-1")
    refuse_clear_text(url, allow_http=True)


async def test_no_setting_of_botocores_brings_clear_text_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://s3.example")
    with pytest.raises(Fatal, match=r"http://s3\.example"):
        await open_s3("bucket", endpoint=None, region="us-east-1")


async def test_no_request_leaves_in_clear_text() -> None:
    session = http_session(client_context(), allow_http=False)()
    with pytest.raises(Fatal, match=r"http://sts\.example"):
        await session.send(AWSRequest("POST", "http://sts.example/?token=hidden").prepare())


async def test_what_describes_the_service_is_parsed_once_for_all_buckets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    parsed: list[str] = []
    load = JSONFileLoader._load_file

    def counted(self: Any, path: str, method: Any) -> Any:
        parsed.append(path)
        return load(self, path, method)

    monkeypatch.setattr(JSONFileLoader, "_load_file", counted)
    found = []
    for bucket in ("one", "other"):
        parsed.clear()
        store = await open_s3(bucket, endpoint="https://s3.example", region="us-east-1")
        await store.close()
        found.append(sum("/s3/" in path for path in parsed))
    assert found[1] == 0, found


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000", "http://[::1]:9000", "http://localhost", "https://s3.example"]
)
def test_tls_and_this_machine_are_not(url: str) -> None:
    refuse_clear_text(url, allow_http=False)


@pytest.mark.parametrize(
    ("endpoint", "bucket", "expected"),
    [
        (None, "bucket", Address("https", "bucket.s3.eu-central-1.amazonaws.com", "/", "eu-central-1")),
        (
            None,
            "dotted.bucket",
            Address("https", "s3.eu-central-1.amazonaws.com", "/dotted.bucket/", "eu-central-1"),
        ),
        ("http://127.0.0.1:9000", "bucket", Address("http", "127.0.0.1:9000", "/bucket/", "eu-central-1")),
        ("https://s3.example:443", "bucket", Address("https", "s3.example", "/bucket/", "eu-central-1")),
        (
            None,
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/ap",
            Address("https", "ap-123456789012.s3-accesspoint.eu-west-1.amazonaws.com", "/", "eu-west-1"),
        ),
        ("http://[::1]:9000", "bucket", Address("http", "[::1]:9000", "/bucket/", "eu-central-1")),
    ],
)
async def test_botocore_says_where_a_bucket_is(endpoint: str | None, bucket: str, expected: Address) -> None:
    store = await open_s3(bucket, endpoint=endpoint, region="eu-central-1")
    assert store._light._wire._address == expected  # type: ignore[attr-defined] # seen nowhere else before a request
    await store.close()


async def test_sessions_that_trust_the_same_authorities_share_what_was_read_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    one, other = [await open_session(allow_http=False) for _ in range(2)]
    assert one.context is other.context
    monkeypatch.setenv("AWS_CA_BUNDLE", str(Authority(tmp_path, "own").trust))
    assert (await open_session(allow_http=False)).context is not one.context
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "missing"))
    for _ in range(2):
        with pytest.raises(Fatal, match="missing"):
            await open_session(allow_http=False)
