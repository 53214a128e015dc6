"""Requests carry the credentials that hold now, and without any the writer is told so."""

import datetime
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.integration.store.listener import Content, listening
from workers.store.port import Denied
from workers.store.s3 import open_s3


class Issuer:
    """Gives out new credentials each time, which expire at once, as ECS and EKS give them."""

    def __init__(self) -> None:
        self.given = 0
        self.down = False

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        if self.down:
            return web.Response(status=500)
        self.given += 1
        expires = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
        return web.Response(
            content_type="application/json",
            text=json.dumps(
                {
                    "AccessKeyId": f"AKIA{self.given}",
                    "SecretAccessKey": f"hidden{self.given}",
                    "Token": f"token{self.given}",
                    "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            ),
        )


@pytest.fixture
async def issuer(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Issuer]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    issuer = Issuer()
    async with listening(issuer) as port:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{port}/")
        yield issuer


async def test_each_put_carries_the_newest_credentials(issuer: Issuer) -> None:
    content = Content()
    async with listening(content) as port:
        store = await open_s3("bucket", endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
        await store.put("a/key", b"1")
        await store.put("a/key", b"2")
        await store.close()
    tokens = [seen["x-amz-security-token"] for seen in content.seen]
    assert tokens[0] != tokens[1] == f"token{issuer.given}"
    for seen, token in zip(content.seen, tokens, strict=True):
        assert f"Credential={token.replace('token', 'AKIA')}/" in seen["authorization"]
        assert "x-amz-security-token" in seen["authorization"]


async def test_credentials_that_cannot_be_renewed_are_a_hold(issuer: Issuer) -> None:
    async with listening(Content()) as port:
        store = await open_s3("bucket", endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
        issuer.down = True
        with pytest.raises(Denied, match=f"put {store.name}/a/key: no credentials") as put:
            await store.put("a/key", b"1")
        with pytest.raises(Denied, match=f"stat {store.name}/a/key: no credentials"):
            await store.stat("a/key")
        assert "hidden" not in str(put.value)
        issuer.down = False
        await store.put("a/key", b"1")
        await store.close()


async def test_no_credentials_at_all_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Denied, match="open s3://bucket: no credentials"):
        await open_s3("bucket", endpoint="http://127.0.0.1:9", region="us-east-1")
