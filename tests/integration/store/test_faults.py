"""What networks and servers do to a request becomes the port's error, and each PUT is sent once."""

from collections.abc import AsyncIterator
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple

import pytest

from tests.integration.store.fault_proxy import FaultProxy
from tests.stack import ladder
from tests.stack.s3 import S3
from workers.errors import Fatal, StrongroomError
from workers.store import light
from workers.store.port import (
    IF_ABSENT,
    Conflict,
    Denied,
    NotFound,
    PreconditionFailed,
    Store,
    Unavailable,
)
from workers.store.proof import prove
from workers.store.refusals import NotImplementedByServer
from workers.store.s3 import open_s3

BODY = b"sealed bytes" * 2000
MOTO = ladder.s3().name == "moto"


class Behind(NamedTuple):
    """A store behind the proxy, and the same bucket without it."""

    proxy: FaultProxy
    store: Store
    plain: Store


@pytest.fixture
async def behind(s3: S3) -> AsyncIterator[Behind]:
    proxy, bucket = FaultProxy(s3.endpoint), s3.bucket()
    store = await open_s3(bucket, endpoint=await proxy.start(), region=s3.region)
    plain = await open_s3(bucket, endpoint=s3.endpoint, region=s3.region)
    yield Behind(proxy, store, plain)
    await store.close()
    await plain.close()
    await proxy.stop()


async def is_stored(store: Store) -> bool:
    try:
        return (await store.get("a/key")).body == BODY
    except NotFound:
        return False


@pytest.mark.parametrize(
    ("fault", "expected", "stored"),
    [
        ("503 SlowDown", Unavailable, False),
        ("500 InternalError", Unavailable, False),
        ("409 ConditionalRequestConflict", Conflict, False),
        ("403 AccessDenied", Denied, False),
        ("401 Unauthorized", Denied, False),
        ("400 ExpiredToken", Denied, False),
        ("412 PreconditionFailed", PreconditionFailed, False),
        ("501 NotImplemented", NotImplementedByServer, False),
        ("307 TemporaryRedirect", Unavailable, False),
        ("reset", Unavailable, False),
        ("lost_response", Unavailable, True),
    ],
)
async def test_a_put_that_goes_wrong(
    behind: Behind, fault: str, expected: type[StrongroomError], stored: bool
) -> None:
    behind.proxy.fail_next("PUT", fault)
    with pytest.raises(expected, match=f"put {behind.store.name}/a/key") as raised:
        await behind.store.put("a/key", BODY, condition=IF_ABSENT, metadata={"x-amz-i": "1"})
    assert type(raised.value) is expected
    assert "testtest" not in str(raised.value)
    assert await is_stored(behind.plain) == stored
    assert [seen.method for seen in behind.proxy.seen] == ["PUT"]


async def test_a_body_that_was_damaged_on_the_way_is_refused(behind: Behind) -> None:
    behind.proxy.fail_next("PUT", "damaged")
    if MOTO:  # it compares nothing: then all that can be asked is that the digest was sent
        await behind.store.put("a/key", BODY)
    else:
        with pytest.raises(Unavailable, match="put"):
            await behind.store.put("a/key", BODY)
        assert [stat async for stat in behind.plain.list("")] == []
    assert behind.proxy.seen[0].headers["x-amz-content-sha256"] == sha256(BODY).hexdigest()


@pytest.mark.parametrize("fault", ["lost_response", "reset"])
async def test_a_lost_connection_that_was_in_use_before_is_not_tried_again_unasked(
    behind: Behind, fault: str
) -> None:
    await behind.store.put("before", BODY)
    behind.proxy.fail_next("PUT", fault)
    with pytest.raises(Unavailable):
        await behind.store.put("a/key", BODY, condition=IF_ABSENT)
    assert [seen.path.rpartition("/")[2] for seen in behind.proxy.seen] == ["before", "key"]
    assert len({seen.connection for seen in behind.proxy.seen}) == 1


async def test_the_same_put_sent_again_tells_who_won(behind: Behind) -> None:
    behind.proxy.fail_next("PUT", "lost_response")
    with pytest.raises(Unavailable):
        await behind.store.put("a/key", BODY, condition=IF_ABSENT)
    with pytest.raises(PreconditionFailed):
        await behind.store.put("a/key", BODY, condition=IF_ABSENT)
    assert await is_stored(behind.store)


async def test_a_server_that_never_answers_is_given_up(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light, "READ_TIMEOUT", 0.5)
    behind.proxy.fail_next("PUT", "silence")
    with pytest.raises(Unavailable, match="timed out"):
        await behind.store.put("a/key", BODY)


async def test_a_large_put_that_is_refused_before_it_was_read_says_why(behind: Behind) -> None:
    behind.proxy.fail_next("PUT", "early 403 AccessDenied")
    with pytest.raises(Denied):
        await behind.store.put("a/key", bytes(16 << 20))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("503 SlowDown", Unavailable),
        ("403 AccessDenied", Denied),
        ("404 NoSuchKey", NotFound),
        ("404 NoSuchBucket", Fatal),
        ("half", Unavailable),
    ],
)
async def test_a_get_that_goes_wrong(behind: Behind, fault: str, expected: type[StrongroomError]) -> None:
    await behind.store.put("a/key", BODY)
    behind.proxy.fail_next("GET", fault)
    with pytest.raises(expected, match=f"get {behind.store.name}/a/key"):
        await behind.store.get("a/key")
    assert [seen.method for seen in behind.proxy.seen] == ["PUT", "GET"]
    assert await is_stored(behind.store)


async def test_lists_stats_and_deletions_are_tried_once_too(behind: Behind) -> None:
    behind.proxy.fail_next("GET", "503 SlowDown")
    with pytest.raises(Unavailable, match=f"list {behind.store.name}/data/"):
        [stat async for stat in behind.store.list("data/")]
    behind.proxy.fail_next("GET", "503 SlowDown")
    with pytest.raises(Unavailable, match="versions"):
        [version async for version in behind.store.versions("data/")]
    behind.proxy.fail_next("HEAD", "503 SlowDown")
    with pytest.raises(Unavailable, match="stat"):
        await behind.store.stat("a/key")
    behind.proxy.fail_next("POST", "500 InternalError")
    with pytest.raises(Unavailable, match="delete"):
        await behind.store.delete(["a/key"])
    assert [seen.method for seen in behind.proxy.seen] == ["GET", "GET", "HEAD", "POST"]


async def test_half_a_listing_is_no_listing(behind: Behind) -> None:
    await behind.plain.put("a/key", BODY)
    behind.proxy.fail_next("GET", "half")
    with pytest.raises(Unavailable, match="versions"):
        [version async for version in behind.store.versions("a/")]
    behind.proxy.fail_next("GET", "half")
    with pytest.raises(Unavailable, match="list"):
        [stat async for stat in behind.store.list("a/")]


async def test_a_deletion_that_was_damaged_on_the_way_deletes_nothing(behind: Behind) -> None:
    keys = [f"a/{number}" for number in range(9)]
    for key in keys:
        await behind.plain.put(key, b"x")
    behind.proxy.fail_next("POST", "damaged")
    if MOTO:  # it compares nothing: then all that can be asked is that something to compare was sent
        with suppress(StrongroomError):
            await behind.store.delete(keys)
    else:
        with pytest.raises(Unavailable, match="delete of 9 keys"):
            await behind.store.delete(keys)
        assert [stat.key async for stat in behind.plain.list("")] == keys
    assert {"x-amz-checksum-crc32", "x-amz-content-sha256"} <= behind.proxy.seen[-1].headers.keys()


async def test_a_deletion_whose_answer_is_lost_is_sent_once(behind: Behind) -> None:
    await behind.store.put("a/key", BODY)
    behind.proxy.fail_next("POST", "lost_response")
    with pytest.raises(Unavailable, match="delete"):
        await behind.store.delete(["a/key"])
    assert [seen.method for seen in behind.proxy.seen] == ["PUT", "POST"]
    assert not await is_stored(behind.plain)


async def test_the_proof_survives_a_lost_response(behind: Behind) -> None:
    behind.proxy.fail_next("PUT", "lost_response")
    await prove(behind.store)
    assert [stat.key async for stat in behind.plain.list("")] == []


async def test_the_proof_tells_what_is_missing(s3: S3) -> None:
    absent = await open_s3("no-such-bucket-here", endpoint=s3.endpoint, region=s3.region)
    with pytest.raises(Fatal, match=r"NoSuchBucket.*Create the bucket"):
        await prove(absent)
    await absent.close()
    nowhere = await open_s3("bucket", endpoint="http://127.0.0.1:9", region=s3.region)
    with pytest.raises(Unavailable, match="no answer"):
        await prove(nowhere)
    await nowhere.close()


async def test_credentials_that_the_server_does_not_know_are_denied(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    locked = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region)
    if MOTO:  # it takes any signature: then all that can be asked is that it takes this one
        await locked.put("a/key", BODY)
    else:
        with pytest.raises(Denied, match="403 SignatureDoesNotMatch"):
            await prove(locked)
        with pytest.raises(Denied, match="403 SignatureDoesNotMatch"):
            await locked.get("a/key")
    await locked.close()
