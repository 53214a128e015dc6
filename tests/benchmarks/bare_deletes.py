"""What a server lists and deletes at most: prepared bodies, a connection a thread, and no more than a look at
the answer."""

import base64
import http.client
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from itertools import groupby
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # ships no types

from tests.stack.s3 import ACCESS_KEY, REGION, SECRET_KEY
from workers.store.sigv4 import query_of

PAGE = 1000  # keys a request


class Page(NamedTuple):
    folder: str
    after: str  # the last key of the page before, or nothing
    keys: Sequence[str]


def seconds_to_delete(endpoint: str, bucket: str, keys: Sequence[str], at_once: int) -> float:
    asked = [("POST", "delete=", _body(page.keys)) for page in _pages(keys)]
    return _seconds(endpoint, bucket, asked, at_once)


def seconds_to_list(endpoint: str, bucket: str, keys: Sequence[str], at_once: int) -> float:
    """Their versions. Before they are deleted: versitygw may answer 500 to a listing meanwhile."""
    return _seconds(endpoint, bucket, [("GET", _listing(page), None) for page in _pages(keys)], at_once)


def _pages(keys: Sequence[str]) -> Iterator[Page]:
    for folder, found in groupby(sorted(keys), key=lambda key: key[: key.rindex("/") + 1]):
        own = list(found)
        for at in range(0, len(own), PAGE):
            yield Page(folder, own[at - 1] if at else "", own[at : at + PAGE])


def _seconds(
    endpoint: str, bucket: str, requests: Sequence[tuple[str, str, bytes | None]], at_once: int
) -> float:
    def work(number: int) -> None:
        at = urlsplit(endpoint)
        connection = http.client.HTTPConnection(at.hostname or "", at.port)
        for request in requests[number::at_once]:
            said = _asked(connection, endpoint, bucket, *request)
            assert b"<Error>" not in said, said[:500]
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(work, range(at_once)))
    return time.perf_counter() - began


def _asked(
    connection: http.client.HTTPConnection,
    endpoint: str,
    bucket: str,
    method: str,
    query: str,
    body: bytes | None,
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


def _listing(page: Page) -> str:
    asked = {"versions": "", "prefix": page.folder}
    return query_of(asked | {"key-marker": page.after} if page.after else asked)


def _body(keys: Sequence[str]) -> bytes:
    objects = "".join(f"<Object><Key>{escape(key)}</Key><VersionId>null</VersionId></Object>" for key in keys)
    return f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()


def _md5(body: bytes) -> str:
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
