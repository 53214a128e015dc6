"""What a server's DeleteObjects does at most: prepared bodies, a connection a thread, and no more than a look
at the answer."""

import base64
import http.client
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

PAGE = 1000  # keys a request


def deletes_a_second(endpoint: str, bucket: str, keys: Sequence[str], at_once: int) -> tuple[float, float]:
    """The rate, and seconds."""
    bodies = [_body(keys[at : at + PAGE]) for at in range(0, len(keys), PAGE)]
    url = f"{endpoint}/{bucket}?delete="

    def work(number: int) -> None:
        at = urlsplit(endpoint)
        connection = http.client.HTTPConnection(at.hostname or "", at.port)
        for body in bodies[number::at_once]:
            signed = AWSRequest("POST", url, data=body, headers={"Content-MD5": _md5(body)})
            S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "s3", REGION).add_auth(signed)
            connection.request("POST", f"/{bucket}?delete=", body, dict(signed.headers))
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status == 200, said
            assert b"<Error>" not in said, said[:500]
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        list(threads.map(work, range(at_once)))
    seconds = time.perf_counter() - began
    return len(keys) / seconds, seconds


def _body(keys: Sequence[str]) -> bytes:
    objects = "".join(f"<Object><Key>{escape(key)}</Key><VersionId>null</VersionId></Object>" for key in keys)
    return f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()


def _md5(body: bytes) -> str:
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
