"""The light path of listings and deletions: each page one request (docs/decisions/002-light-path.md)."""

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import aiohttp

from workers.store import documents
from workers.store.connect import CONNECT_TIMEOUT, READ_TIMEOUT
from workers.store.documents import ListPage, Malformed, Refused, UploadPage, VersionPage
from workers.store.port import Unavailable
from workers.store.refusals import code_in, refusal
from workers.store.sigv4 import query_of
from workers.store.wire import Wire

T = TypeVar("T")


class LightPages:
    """Of one bucket. Raises the port's errors; an answer that is none of S3's is Unavailable."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._name = wire.name
        self._path = wire.path.rstrip("/") or "/"

    async def listed(self, prefix: str, after: str, limit: int) -> ListPage:
        asked = {"list-type": "2", "encoding-type": "url", "prefix": prefix, "max-keys": str(limit)}
        if after:
            asked["start-after"] = after
        return await self._page(f"list {self._name}/{prefix}", asked, documents.list_page)

    async def versions(self, prefix: str, more: Mapping[str, str]) -> VersionPage:
        asked = {"versions": "", "encoding-type": "url", "prefix": prefix, **more}
        return await self._page(f"versions {self._name}/{prefix}", asked, documents.version_page)

    async def uploads(self, prefix: str, more: Mapping[str, str]) -> UploadPage:
        asked = {"uploads": "", "prefix": prefix, **more}
        return await self._page(f"uploads {self._name}/{prefix}", asked, documents.upload_page)

    async def delete(self, things: Sequence[tuple[str, str | None]]) -> dict[str, str]:
        """Of 1,000 keys, or versions of keys, at most; key → why the server kept it."""
        body = documents.deletion(things)
        what = f"delete of {len(things)} keys in {self._name}"
        # S3 wants a checksum beside the signed digest (DeleteObjects, Content-MD5)
        checksum = base64.b64encode(zlib.crc32(body).to_bytes(4)).decode()
        headers = {"content-type": "application/xml", "x-amz-checksum-crc32": checksum}
        return await self._answer("POST", what, {"delete": ""}, documents.kept, headers, body)

    async def _page(self, what: str, asked: Mapping[str, str], read: Callable[[bytes], T]) -> T:
        return await self._answer("GET", what, asked, read, {}, None)

    async def _answer(
        self,
        method: str,
        what: str,
        asked: Mapping[str, str],
        read: Callable[[bytes], T],
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> T:
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
        async with self._wire.asked(
            method, what, self._path, timeout, query=query_of(asked), headers=headers, body=body
        ) as response:
            said = await response.read()
        if response.status != 200:
            raise refusal(what, response.status, code_in(said))
        try:
            return read(said)
        except Refused as error:
            raise refusal(what, 500, error.code) from None
        except Malformed as error:
            raise Unavailable(
                f"{what}: 200 with what is no answer of S3's ({error})", remedy="Is this an S3 server?"
            ) from None
