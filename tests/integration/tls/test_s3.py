"""S3 over TLS: a real server, a proxy between, and the service that gives out credentials."""

from pathlib import Path

import pytest

from tests.integration.store.listener import Content, listening, tunnel
from tests.stack.authority import Authority
from tests.stack.s3 import S3
from workers.store.port import NotFound, Store, Unavailable
from workers.store.proof import prove
from workers.store.s3 import open_s3


async def open_at(port: int) -> Store:
    return await open_s3("bucket", endpoint=f"https://localhost:{port}", region="us-east-1")


async def test_a_real_server_keeps_what_both_ways_of_sending_bring(
    secured_s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(secured_s3.trust))
    store = await open_s3(secured_s3.bucket(), endpoint=secured_s3.endpoint, region=secured_s3.region)
    await prove(store)
    large = bytes(3 << 20)
    await store.put("a/large", large, metadata={"name": "value"})
    assert (await store.get("a/large")).body == large
    assert (await store.get("a/large", start=1, length=2)).metadata == {"name": "value"}
    assert [stat.key async for stat in store.list("a/")] == ["a/large"]
    assert not await store.delete(["a/large"])
    with pytest.raises(NotFound):
        await store.get("a/large")
    await store.close()


async def test_without_its_authority_a_real_server_is_refused(secured_s3: S3, authority: Authority) -> None:
    store = await open_s3(secured_s3.bucket(), endpoint=secured_s3.endpoint, region=secured_s3.region)
    with pytest.raises(Unavailable, match="certificate was refused") as refused:
        await store.put("a/key", b"secret")
    assert "AWS_CA_BUNDLE" in refused.value.remedy
    await store.close()


@pytest.mark.parametrize("name", ["localhost", "other.example"])
async def test_a_proxy_changes_nothing(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async with tunnel() as (proxy, asked), listening(content := Content(), authority.server(name)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy}")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        store = await open_at(port)
        if name == "localhost":
            await store.put("a/key", b"secret")
            await store.expiring()
        else:
            with pytest.raises(Unavailable, match="Hostname mismatch"):
                await store.put("a/key", b"secret")
            with pytest.raises(Unavailable, match="Hostname mismatch"):
                await store.expiring()
        await store.close()
    assert asked == [f"localhost:{port}"] * 2
    assert len(content.seen) == (2 if name == "localhost" else 0)


async def test_the_service_that_gives_out_credentials_is_verified_too(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("identity")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/worker")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    async with listening(content := Content(), authority.server("other.example")) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"https://localhost:{port}")
        with pytest.raises(Unavailable, match=r"open s3://bucket: .*Hostname mismatch"):
            await open_s3("bucket", endpoint="http://127.0.0.1:9", region="us-east-1")
    assert content.seen == []
