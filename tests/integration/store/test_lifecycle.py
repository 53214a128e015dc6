"""What a bucket deletes by itself is read from its lifecycle rules (moto's: versitygw knows none)."""

from collections.abc import Iterator
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
from moto.server import ThreadedMotoServer

from workers.store.s3 import open_s3

pytestmark = pytest.mark.integration

DAYS = {"Days": 30}
ON = {"Status": "Enabled", "Expiration": DAYS}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], []),
        ([{**ON, "Prefix": "ledger/"}], ["ledger/"]),
        ([{**ON, "Filter": {"Prefix": "data/"}}], ["data/"]),
        ([{**ON, "Filter": {"Prefix": ""}}], [""]),
        ([{**ON, "Filter": {"And": {"Prefix": "keys/", "Tags": [{"Key": "a", "Value": "b"}]}}}], ["keys/"]),
        ([{**ON, "Status": "Disabled", "Filter": {"Prefix": "ledger/"}}], []),
        (
            [
                {
                    "Status": "Enabled",
                    "Filter": {"Prefix": "ledger/"},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 90},
                }
            ],
            [],
        ),
    ],
)
async def test_rules_that_delete_what_is_current(
    endpoint: str, rules: list[dict[str, Any]], expected: list[str]
) -> None:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="ruled")
    client.delete_bucket_lifecycle(Bucket="ruled")
    if rules:
        client.put_bucket_lifecycle_configuration(Bucket="ruled", LifecycleConfiguration={"Rules": rules})
    store = await open_s3("ruled", endpoint=endpoint, region="us-east-1")
    try:
        assert list(await store.expiring()) == expected
    finally:
        await store.close()
