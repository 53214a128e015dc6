"""What KMS says, or does not say, and what becomes of it: wait, hold, refuse, or call a person."""

import asyncio
import json
import logging
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.integration.store.listener import listening
from tests.stack.authority import Authority
from tests.stack.moto_kms import REGION, MotoKms
from workers.errors import Fatal, StrongroomError
from workers.sealing.keys import Secret, new_key
from workers.sealing.kms import Kms, KmsRoot
from workers.sealing.refusals import WrongKey
from workers.sealing.roots import Roots, root_context
from workers.store import kms as kms_module
from workers.store.kms import open_kms
from workers.store.port import Denied, Unavailable

CONTEXT = root_context("acme", 1)
ARN = f"arn:aws:kms:{REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
PLAIN = Secret(b"PLANTED-KEY-of-thirty-two-bytes!")


class Scripted:
    """Answers every call alike. `seen`: operation and request of each."""

    def __init__(self, status: int, body: object) -> None:
        self.answer(status, body)
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def answer(self, status: int, body: object) -> None:
        self._status, self._body = status, body

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        self.seen.append((request.headers["X-Amz-Target"], json.loads(await request.read())))
        text = self._body if isinstance(self._body, str) else json.dumps(self._body)
        return web.Response(status=self._status, text=text, content_type="application/x-amz-json-1.1")


@asynccontextmanager
async def asking(script: Callable[[web.BaseRequest], Any]) -> AsyncIterator[Kms]:
    async with (
        listening(script) as port,
        open_kms(REGION, endpoint=f"http://127.0.0.1:{port}") as kms,
    ):
        yield kms


async def test_an_error_is_told_by_what_mends_it_after_one_try() -> None:
    """Which code means what: tests/unit/store/test_kms_refusals.py."""
    script = Scripted(0, "")
    async with asking(script) as kms:
        for status, code, error in (
            (400, "ThrottlingException", Unavailable),
            (400, "com.amazonaws.kms#DisabledException", Denied),
            (400, "IncorrectKeyException", WrongKey),
            (400, "InvalidKeyUsageException", Fatal),
            (502, "", Unavailable),
        ):
            script.answer(status, {"__type": code, "message": "planted-message"} if code else "")
            for call in (
                kms.encrypt(ARN, PLAIN, CONTEXT),
                kms.decrypt(ARN, b"blob", CONTEXT),
                kms.re_encrypt(b"blob", ARN, ARN, CONTEXT),
                kms.describe(ARN),
            ):
                with pytest.raises(error) as refused:
                    await call
                assert type(refused.value) is error
                assert ARN in refused.value.message
                assert code.rpartition("#")[2] in refused.value.message
                assert "planted-message" not in str(refused.value)  # it may quote the request
            assert [operation for operation, _ in script.seen] == [
                f"TrentService.{name}" for name in ("Encrypt", "Decrypt", "ReEncrypt", "DescribeKey")
            ]
            script.seen.clear()


async def test_each_request_names_its_key_and_context() -> None:
    blob, plain = b64encode(b"blob").decode(), b64encode(PLAIN).decode()
    script = Scripted(200, {"KeyId": ARN, "SourceKeyId": ARN, "CiphertextBlob": blob, "Plaintext": plain})
    async with asking(script) as kms:
        root = KmsRoot(kms, ARN)
        assert await root.wrap(PLAIN, CONTEXT) == b"blob"
        assert await root.unwrap(b"blob", CONTEXT) == PLAIN
        assert await root.take_over({f"kms:{ARN}": b"blob"}, CONTEXT) == b"blob"
    assert [request for _, request in script.seen] == [
        {"KeyId": ARN, "Plaintext": plain, "EncryptionContext": CONTEXT},
        {"KeyId": ARN, "CiphertextBlob": blob, "EncryptionContext": CONTEXT},
        {
            "CiphertextBlob": blob,
            "SourceKeyId": ARN,
            "SourceEncryptionContext": CONTEXT,
            "DestinationKeyId": ARN,
            "DestinationEncryptionContext": CONTEXT,
        },
    ]


async def test_an_answer_that_says_nothing_is_refused() -> None:
    script = Scripted(0, "")
    async with asking(script) as kms:
        root = KmsRoot(kms, ARN)
        for body in (
            "",
            "{}",
            "[]",
            "7",
            "<html>",
            {"KeyId": ARN},
            {"KeyId": ARN, "Plaintext": "no Base64!"},
        ):
            script.answer(200, body)
            with pytest.raises(StrongroomError):
                await root.wrap(PLAIN, CONTEXT)
            with pytest.raises(StrongroomError):
                await root.unwrap(b"blob", CONTEXT)


async def test_silence_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kms_module, "ANSWER_TIMEOUT", 0.2)

    async def silent(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(2)
        return web.Response()

    async with asking(silent) as kms:
        with pytest.raises(Unavailable, match="timed out"):
            await kms.decrypt(ARN, b"blob", CONTEXT)


async def test_nobody_there_is_waited_for() -> None:
    async with open_kms(REGION, endpoint="http://127.0.0.1:9") as kms:
        with pytest.raises(Unavailable, match="no answer"):
            await kms.decrypt(ARN, b"blob", CONTEXT)


async def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Denied, match="open KMS in eu-west-1: no credentials"):
        async with open_kms(REGION, endpoint="http://127.0.0.1:9"):
            pass


@pytest.mark.parametrize("region", ["no region", "-", "a" * 64])
async def test_a_region_that_can_be_none_is_refused(region: str) -> None:
    with pytest.raises(Fatal, match="open KMS in"):
        async with open_kms(region, endpoint=None):
            pass


async def test_nothing_is_sent_in_clear_text_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fatal, match="unencrypted"):
        async with open_kms(REGION, endpoint="http://kms.example"):
            pass
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://kms.example")
    with pytest.raises(Fatal, match="unencrypted"):
        async with open_kms(REGION, endpoint=None):
            pass
    async with open_kms(REGION, endpoint=None, allow_http=True):
        pass


def _cbc(server: ssl.SSLContext) -> None:
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    server.set_ciphers("ECDHE-ECDSA-AES128-SHA256")


@pytest.mark.parametrize("wrong", ["", "name", "dates", "authority", "cipher"])
async def test_keys_go_to_a_server_that_proves_itself_and_to_no_other(
    wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "trusted")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority.trust))
    by = Authority(tmp_path, "stranger") if wrong == "authority" else authority
    server = by.server("other.example" if wrong == "name" else "localhost", expired=wrong == "dates")
    if wrong == "cipher":
        _cbc(server)
    script = Scripted(200, {"KeyId": ARN, "Plaintext": b64encode(PLAIN).decode()})
    async with (
        listening(script, server) as port,
        open_kms(REGION, endpoint=f"https://localhost:{port}") as kms,
    ):
        root = KmsRoot(kms, ARN)
        if not wrong:
            assert await root.unwrap(b"blob", CONTEXT) == PLAIN
        else:
            with pytest.raises(Unavailable):
                await root.wrap(PLAIN, CONTEXT)
            assert script.seen == []


async def test_nothing_that_can_be_logged_shows_a_key(kms: MotoKms, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failures: list[StrongroomError] = []
    said: list[str] = []
    async with open_kms(REGION, endpoint=kms.endpoint) as client:
        root = KmsRoot(client, kms.key())
        blob = await root.wrap(PLAIN, CONTEXT)
        opened = await client.decrypt(root.fingerprint.removeprefix("kms:"), blob, CONTEXT)
        assert opened.plain == PLAIN
        said += [repr(opened), str(opened), repr(root), repr(Roots([root])), repr(vars(root))]
        strange = KmsRoot(client, ARN)
        for call in (strange.wrap(PLAIN, CONTEXT), root.unwrap(blob, {}), strange.unwrap(blob, CONTEXT)):
            with pytest.raises(StrongroomError) as refused:
                await call
            failures.append(refused.value)
    for body in ({"KeyId": "x", "Plaintext": b64encode(PLAIN).decode()}, "<html>"):
        async with asking(Scripted(200, body)) as client:
            with pytest.raises(StrongroomError) as refused:
                await KmsRoot(client, ARN).unwrap(b"blob", CONTEXT)
            failures.append(refused.value)
    for failure in failures:
        assert failure.__cause__ is failure.__context__ is None  # botocore's hold the request
        rendered = traceback.TracebackException.from_exception(failure, capture_locals=True)
        said += [str(failure), repr(failure), *rendered.format()]
    everything = "\n".join([*said, caplog.text])
    for spelling in ("PLANTED-KEY", b64encode(PLAIN).decode(), PLAIN.hex(), repr(bytes(PLAIN))[2:-1]):
        assert spelling not in everything


async def test_the_scan_would_find_what_botocore_logs(
    kms: MotoKms, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the test above relies on: left alone, botocore writes keys."""
    for library in ("botocore", "aiobotocore"):
        monkeypatch.setattr(logging.getLogger(library), "level", logging.NOTSET)
        logging.getLogger(library).manager._clear_cache()  # type: ignore[attr-defined]  # private to logging
    caplog.set_level(logging.DEBUG)
    key = new_key()
    async with open_kms(REGION, endpoint=kms.endpoint) as client:
        await KmsRoot(client, kms.key()).wrap(key, CONTEXT)
    assert b64encode(key).decode() in caplog.text
