"""moto's KMS on a free port of this machine: real requests and real encryption, of which it forgets all.

Unlike AWS it goes on decrypting with disabled keys, says AccessDenied where a blob is of another key than the
one that was asked for, and does not look at ReEncrypt's SourceKeyId.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3  # type: ignore[import-untyped]  # ships no types
from moto.server import ThreadedMotoServer

from tests.stack.s3 import ACCESS_KEY, SECRET_KEY

REGION, FAR = "eu-west-1", "us-east-2"


class MotoKms:
    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    def client(self, region: str = REGION) -> Any:
        """A plain boto3 client: what an operator has."""
        return boto3.client(
            "kms",
            endpoint_url=self.endpoint,
            region_name=region,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )

    def key(self, region: str = REGION) -> str:
        """The ARN of a new key."""
        arn: str = self.client(region).create_key()["KeyMetadata"]["Arn"]
        return arn


@contextmanager
def moto_kms() -> Iterator[MotoKms]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield MotoKms(f"http://{host}:{port}")
    finally:
        server.stop()
