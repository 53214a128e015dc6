"""What a server deletes at most: each thread lists a page of a folder's versions and deletes it, folder after
folder, with no more than a look at the answers."""

import base64
import http.client
import re
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # ships no types

from tests.stack.s3 import ACCESS_KEY, REGION, SECRET_KEY
from workers.store.sigv4 import query_of

KEY = re.compile(rb"<Version>.*?<Key>([^<]*)</Key>", re.DOTALL)


def seconds_to_empty(endpoint: str, bucket: str, folders: Sequence[str], at_once: int) -> tuple[float, int]:
    """And how many versions were deleted. Keys are those of `bench_retention`: nothing in them is escaped."""

    def work(number: int) -> int:
        at = urlsplit(endpoint)
        connection = http.client.HTTPConnection(at.hostname or "", at.port)
        deleted = 0
        for folder in folders[number::at_once]:
            asked = query_of({"versions": "", "prefix": folder})
            while keys := KEY.findall(_said(connection, endpoint, bucket, "GET", asked)):
                said = _said(connection, endpoint, bucket, "POST", "delete=", _body(keys))
                assert b"<Error>" not in said, said[:500]
                deleted += len(keys)
        connection.close()
        return deleted

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        deleted = sum(threads.map(work, range(at_once)))
    return time.perf_counter() - began, deleted


def _said(
    connection: http.client.HTTPConnection,
    endpoint: str,
    bucket: str,
    method: str,
    query: str,
    body: bytes | None = None,
) -> bytes:
    url = f"{endpoint}/{bucket}?{query}"
    headers = {} if body is None else {"Content-MD5": _md5(body)}
    signed = AWSRequest(method, url, data=body, headers=headers)
    S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(signed)
    connection.request(method, f"/{bucket}?{query}", body, dict(signed.headers))
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said
    return said


def _body(keys: Sequence[bytes]) -> bytes:
    objects = "".join(
        f"<Object><Key>{escape(key.decode())}</Key><VersionId>null</VersionId></Object>" for key in keys
    )
    return f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()


def _md5(body: bytes) -> str:
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
