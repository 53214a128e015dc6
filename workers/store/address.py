"""Where a bucket's objects are: botocore is asked, as it knows styles, partitions, access points and ARNs."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

PROBE = "k"  # a key that needs no encoding


class Address(NamedTuple):
    """What is before a key in its URL, and what its requests are signed for."""

    scheme: str
    host: str  # with its port, unless it is the scheme's own
    path: str  # `/`, or `/bucket/`
    region: str


class _Seen(Exception):
    """Stops the request in which the address was seen."""

    def __init__(self, address: Address) -> None:
        self.address = address


async def address_of(client: Any, bucket: str) -> Address:
    """From a PUT that botocore prepares and signs, and that is never sent.

    A presigned URL would not do: it names the global endpoint, which redirects for new buckets.
    """
    event = "before-send.s3.PutObject"
    client.meta.events.register(event, _see)
    try:
        await client.put_object(Bucket=bucket, Key=PROBE, Body=b"")
    except _Seen as seen:
        return seen.address
    finally:
        client.meta.events.unregister(event, _see)
    raise AssertionError("botocore sent the PUT without the event that comes before it")


def _see(request: Any, **_: object) -> None:
    url = urlsplit(request.url)
    signed = request.headers["Authorization"]
    credential = (signed.decode() if isinstance(signed, bytes) else signed).partition("Credential=")[2]
    raise _Seen(
        Address(
            scheme=url.scheme,
            host=url.netloc.removesuffix({"https": ":443", "http": ":80"}[url.scheme]),
            path=url.path.removesuffix(PROBE),
            region=credential.partition(",")[0].split("/")[-3],
        )
    )
