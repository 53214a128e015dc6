"""A bucket of S3 or of a server that speaks its protocol."""

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]  # ships no types

from workers.errors import Fatal
from workers.store.address import address_of
from workers.store.connect import (
    CONNECT_TIMEOUT,
    CONNECTIONS,
    READ_TIMEOUT,
    VerifiedConfig,
    open_session,
    refuse_clear_text,
)
from workers.store.failures import NO_ANSWER, NO_CREDENTIALS
from workers.store.light import LightPath
from workers.store.light_pages import LightPages
from workers.store.metadata import check_metadata
from workers.store.port import (
    NO_METADATA,
    Condition,
    Got,
    IfMatch,
    NotFound,
    PreconditionFailed,
    Stat,
    Store,
    Version,
)
from workers.store.refusals import Beyond, NotImplementedByServer, no_credentials, refusal, unanswered
from workers.store.wire import Wire, frozen, unheard

PAGE = 1000  # keys a list or delete request

_ASKED = frozenset({"AbortMultipartUpload", "GetBucketLifecycleConfiguration"})


async def open_s3(
    bucket: str,
    *,
    endpoint: str | None,
    region: str,
    allow_http: bool = False,
    told: Callable[[str], None] = unheard,
) -> Store:
    """Opens a bucket with the credentials that botocore finds; connects to nothing but their source.

    `endpoint`: a URL, None for AWS itself. AWS_CA_BUNDLE names authorities to trust instead of the system's.
    `told` hears of each request on the light path, as one of OPERATIONS.
    Raises Fatal for an address that won't do, Denied where there are no credentials.
    """
    if endpoint is not None:
        refuse_clear_text(endpoint, allow_http=allow_http)
    name = f"s3://{bucket}"
    async with AsyncExitStack() as opened:
        with _translated(f"open {name}"):
            session = await open_session(allow_http=allow_http)
            client = await opened.enter_async_context(
                session.aws.client(
                    "s3",
                    region_name=region,
                    endpoint_url=endpoint,
                    config=VerifiedConfig(
                        http_session_cls=session.http,
                        signature_version="s3v4",
                        retries={"total_max_attempts": 1},  # who calls decides (docs/s3.md)
                        connect_timeout=CONNECT_TIMEOUT,
                        read_timeout=READ_TIMEOUT,
                        max_pool_connections=CONNECTIONS,
                        # what is sealed proves itself, and older servers know no trailing checksums
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            )
            address = await address_of(client, bucket)
        # AWS_ENDPOINT_URL and profiles have a say in it too
        refuse_clear_text(f"{address.scheme}://{address.host}", allow_http=allow_http)
        wire = Wire(name, address, frozen(session.aws), session.context, told)
        opened.push_async_callback(wire.close)
        return _S3Store(bucket, client, wire, opened.pop_all())


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turns what botocore and aiohttp raise into the port's errors."""
    try:
        yield
    except ClientError as error:
        if error.operation_name not in _ASKED:  # of the service that gives out credentials
            raise no_credentials(what, error) from error
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        raise refusal(what, status, error.response["Error"]["Code"]) from error
    except NO_CREDENTIALS as error:
        raise no_credentials(what, error) from error
    except NO_ANSWER as error:
        raise unanswered(what, error) from error
    except BotoCoreError as error:
        raise Fatal(f"{what}: {error}", remedy="Check the bucket's name, endpoint and region") from error


class _S3Store:
    def __init__(self, bucket: str, client: Any, wire: Wire, opened: AsyncExitStack) -> None:
        self._name, self._bucket, self._client, self._opened = wire.name, bucket, client, opened
        self._light = LightPath(wire)
        self._pages = LightPages(wire)

    @property
    def name(self) -> str:
        return self._name

    async def put(
        self,
        key: str,
        body: bytes,
        *,
        condition: Condition | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
        digest: str | None = None,
    ) -> str:
        check_metadata(metadata)
        try:
            return await self._light.put(key, body, condition, metadata, digest)
        except NotFound as error:
            # S3 answers If-Match on a name that holds nothing with 404 (conditional writes, S3 user guide)
            if isinstance(condition, IfMatch):
                raise PreconditionFailed(error.message) from error
            raise

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> Got:
        byte_range = None
        if start or length is not None:
            # RFC 9110, 14.1.2: a range holds a byte at least; of none, the first is asked for and dropped
            last = "" if length is None else start + max(length, 1) - 1
            byte_range = f"bytes={start}-{last}"
        try:
            got = await self._light.get(key, byte_range)
        except Beyond:
            return await self._nothing_of(key)
        return got if length is None else replace(got, body=got.body[:length])

    async def _nothing_of(self, key: str) -> Got:
        """The range lies beyond the object's end: none of its bytes, and the rest of the answer."""
        head = await self._light.head(key)
        return Got(b"", head.etag, head.size, head.metadata)

    async def stat(self, key: str) -> Stat:
        head = await self._light.head(key)
        return Stat(key, head.size, head.etag, head.modified)

    async def list(self, prefix: str, *, after: str = "", limit: int | None = None) -> AsyncIterator[Stat]:
        left = limit
        while left != 0:
            page = await self._pages.listed(prefix, after, PAGE if left is None else min(left, PAGE))
            for stat in page.found:
                yield stat
            if not page.truncated or not page.found:
                return
            after = page.found[-1].key
            left = None if left is None else left - len(page.found)

    async def versions(self, prefix: str, *, after: str = "") -> AsyncIterator[Version]:
        more: Mapping[str, str] | None = {"key-marker": after} if after else {}
        last: Version | None = None
        while more is not None:
            found, more = await self._pages.versions(prefix, more)
            for version in found:
                # versitygw begins a page with the last one's end where no versions are kept
                if version != last and version.key > after:
                    yield version
                last = version

    async def delete(self, keys: Sequence[str]) -> Mapping[str, str]:
        return await self._delete([(key, None) for key in keys])

    async def purge(self, versions: Sequence[Version]) -> Mapping[str, str]:
        return await self._delete([(one.key, one.version_id) for one in versions])

    async def _delete(self, things: Sequence[tuple[str, str | None]]) -> Mapping[str, str]:
        kept: dict[str, str] = {}
        for at in range(0, len(things), PAGE):
            kept |= await self._pages.delete(things[at : at + PAGE])
        return kept

    async def abandon_uploads(self, prefix: str, keys: Collection[str]) -> int:
        ended = 0
        more: Mapping[str, str] | None = {}
        while more is not None:
            try:
                found, more = await self._pages.uploads(prefix, more)
            except NotImplementedByServer:
                return ended  # it knows none
            for key, upload in found:
                if key in keys:
                    ended += await self._abandon(key, upload)
        return ended

    async def _abandon(self, key: str, upload: str) -> bool:
        try:
            with _translated(f"end an upload of {self._name}/{key}"):
                await self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        except NotFound:
            return False  # somebody else ended it
        return True

    async def expiring(self) -> Sequence[str]:
        try:
            with _translated(f"lifecycle rules of {self._name}"):
                answer = await self._client.get_bucket_lifecycle_configuration(Bucket=self._bucket)
        except (NotFound, NotImplementedByServer):
            return ()
        rules = answer.get("Rules", ())
        return [_prefix(rule) for rule in rules if rule["Status"] == "Enabled" and _expires(rule)]

    async def close(self) -> None:
        await self._opened.aclose()


def _expires(rule: Any) -> bool:
    """Whether it deletes what is current: not what was replaced, or never finished."""
    return not {"Days", "Date"}.isdisjoint(rule.get("Expiration", {}))


def _prefix(rule: Any) -> str:
    """Of all that narrows a rule (tags, sizes) only the prefix counts: what it may delete, it will."""
    chosen = rule.get("Filter", {})
    prefix: str = rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or ""
    return prefix
