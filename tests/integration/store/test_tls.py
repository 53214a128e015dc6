"""Nothing is sent to a server whose name, authority, dates, version or cipher is not as it should be."""

import ssl
from pathlib import Path

import pytest

from tests.integration.store.listener import Content, listening, tunnel
from tests.stack.authority import Authority
from workers.store.port import Store, Unavailable
from workers.store.s3 import open_s3

BROKEN_OFF = "no TLS with the server|ConnectionResetError"  # asyncio hangs up before it says why


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one that the client trusts."""
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.trust))
    return authority


async def open_at(port: int) -> Store:
    return await open_s3("bucket", endpoint=f"https://localhost:{port}", region="us-east-1")


async def refused_by(server: ssl.SSLContext, said: str) -> None:
    """Both ways of sending refuse it, before a byte of a request is sent."""
    content = Content()
    async with listening(content, server) as port:
        store = await open_at(port)
        with pytest.raises(Unavailable, match=said):
            await store.put("a/key", b"secret")
        with pytest.raises(Unavailable, match=said):
            await store.delete(["a/key"])
        await store.close()
    assert content.seen == []


@pytest.mark.parametrize("cipher", ["", "ECDHE-ECDSA-AES128-GCM-SHA256"], ids=["TLS 1.3", "TLS 1.2"])
async def test_the_right_certificate_is_taken(authority: Authority, cipher: str) -> None:
    content, server = Content(), authority.server("localhost")
    if cipher:
        _only_tls_1_2(server, cipher)
    async with listening(content, server) as port:
        store = await open_at(port)
        await store.put("a/key", b"secret")
        await store.delete(["a/key"])
        await store.close()
    assert len(content.seen) == 2


def _only_tls_1_2(server: ssl.SSLContext, cipher: str) -> None:
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers(cipher)


async def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    await refused_by(authority.server("other.example"), "certificate was refused: Hostname mismatch")


async def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    await refused_by(authority.server("localhost", expired=True), "certificate has expired")


async def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").server("localhost")
    await refused_by(stranger, "certificate was refused: unable to get local issuer certificate")


async def test_a_server_with_nothing_but_cbc_is_refused(authority: Authority) -> None:
    server = authority.server("localhost")
    _only_tls_1_2(server, "ECDHE-ECDSA-AES128-SHA256")
    await refused_by(server, BROKEN_OFF)


async def test_tls_1_1_is_refused(authority: Authority) -> None:
    server = authority.server("localhost")
    server.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL itself would not offer it otherwise
    server.minimum_version = server.maximum_version = ssl.TLSVersion.TLSv1_1
    await refused_by(server, BROKEN_OFF)


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
            await store.delete(["a/key"])
        else:
            with pytest.raises(Unavailable, match="Hostname mismatch"):
                await store.put("a/key", b"secret")
            with pytest.raises(Unavailable, match="Hostname mismatch"):
                await store.delete(["a/key"])
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
