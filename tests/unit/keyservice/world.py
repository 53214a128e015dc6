"""A keystore with two workspaces, their readers and what was sealed, and clients that sign as Amazon's do."""

import datetime
import io
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]  # ships no types
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]  # ships no types
from botocore.credentials import Credentials  # type: ignore[import-untyped]  # ships no types

from tests.contract.keystore.world import NOW, ROOT, UNIT, Uptime, fast, replicas, worker
from workers.by import By
from workers.keyservice import kms
from workers.keyservice.service import Answer, Service
from workers.keyservice.signed import Request
from workers.sealing import readers
from workers.sealing.format import Sealed, derive, parse_header
from workers.sealing.keys import Reader, Unit, context_of, service_context
from workers.sealing.keystore import Keystore
from workers.sealing.readers import ReaderSecret
from workers.sealing.roots import Roots
from workers.sealing.workspaces import Workspaces
from workers.store.memory import MemoryStore

REGION, HOST, PEER = "us-east-1", "keys.example:8443", "203.0.113.9"
RIVAL = UNIT._replace(workspace="rival")
NAME = "data/ws=acme/src=web/day=2026-11-25/accepted/one.ndjson.zst"
BY = By("ada@desk", "desk", "a test", NOW)
DAY = 86_400_000  # ms


class World:
    """`time` is in ms since the epoch and stands until it is moved, as `uptime`, in seconds."""

    def __init__(self, *, rate: float = 1000.0, failure_rate: float = 1000.0, timeout: float = 30.0) -> None:
        self.stores = [MemoryStore("first"), MemoryStore("second")]
        self.time, self.uptime = NOW, Uptime()
        self.sealed: dict[Unit, Sealed] = {}
        self.readers: dict[str, tuple[Reader, ReaderSecret]] = {}
        self.keystore = self.fresh()
        self.service = Service(
            self.keystore,
            region=REGION,
            rate=rate,
            failure_rate=failure_rate,
            timeout=timeout,
            now=lambda: self.time,
            uptime=self.uptime,
        )

    async def begin(self) -> "World":
        writer = worker(self.stores)
        for unit in (UNIT, RIVAL):
            self.sealed[unit] = (await writer.unit_key(unit, create=True)).seal(b"plain", NAME)
            self.readers[unit.workspace] = await self.reader(unit.workspace)
        return self

    def fresh(self) -> Keystore:
        """A keystore that has nothing cached."""
        return worker(self.stores, clock=self.uptime)

    async def reader(self, workspace: str, *, expires_at: int | None = None) -> tuple[Reader, ReaderSecret]:
        workspaces = Workspaces(replicas(self.stores), Roots([ROOT]), keep=1, now=lambda: NOW)
        return await readers.add(
            replicas(self.stores), workspaces, workspace, expires_at=expires_at, by=BY, retry=fast()
        )

    async def revoke(self, reader: Reader) -> None:
        await readers.revoke(replicas(self.stores), reader, BY, fast())

    def wanted(self, unit: Unit = UNIT, **changed: object) -> dict[str, object]:
        """What a client asks to have the key of this unit's object decrypted."""
        blob = self.sealed[unit].metadata["x-amz-3"]
        context = service_context(context_of(unit, NAME))
        return {"CiphertextBlob": blob, "EncryptionContext": context, "KeyId": kms.arn("acme"), **changed}

    def signed(self, wanted: Mapping[str, object] | bytes, operation: str = "Decrypt", **how: Any) -> Request:
        """As acme's reader sends it; `how` is that of `sign`."""
        reader, secret = how.pop("reader", None) or self.readers["acme"]
        body = wanted if isinstance(wanted, bytes) else json.dumps(wanted).encode()
        how.setdefault("at", self.time)
        return sign(body, f"TrentService.{operation}", reader.access_key_id, secret.text, **how)

    async def ask(
        self, wanted: Mapping[str, object] | bytes, operation: str = "Decrypt", **how: Any
    ) -> Answer:
        peer = how.pop("peer", PEER)
        return await self.service.answer(self.signed(wanted, operation, **how), peer, "a-request")

    def opens(self, answer: Answer, unit: Unit = UNIT) -> bool:
        """Whether the answer holds the key that the unit's object commits to."""
        header = parse_header(self.sealed[unit].metadata)
        plain = b64decode(json.loads(answer.body)["Plaintext"])
        return derive(plain, header.msgid)[1] == header.commitment


def sign(
    body: bytes,
    target: str,
    access_key_id: str,
    secret: str,
    *,
    at: int = NOW,
    region: str = REGION,
    service: str = "kms",
    headers: Mapping[str, str] | None = None,
) -> Request:
    """Signed by botocore."""
    request = AWSRequest(
        "POST",
        f"https://{HOST}/",
        headers={
            "Host": HOST,
            "X-Amz-Target": target,
            "Content-Type": kms.CONTENT_TYPE,
            **(headers or {}),
        },
        data=body,
    )
    moment = datetime.datetime.fromtimestamp(at / 1000, datetime.UTC)
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(Credentials(access_key_id, secret), service, region)
    request.headers["X-Amz-Date"] = request.context["timestamp"]
    made = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    signed_names = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={signed_names}, Signature={made}"
    )
    return Request("POST", "/", list(request.headers.items()), body)


def edited(request: Request, edit: Callable[[str, str], Sequence[tuple[str, str]]]) -> Request:
    """With each header replaced by what `edit` makes of its lower-case name and value."""
    headers = [each for name, value in request.headers for each in edit(name.lower(), value)]
    return request._replace(headers=headers)


def with_header(request: Request, name: str, value: str | None) -> Request:
    """With this header changed, or left out."""
    return edited(
        request,
        lambda each, old: [(each, old)] if each != name else [] if value is None else [(each, value)],
    )


def error_of(answer: Answer) -> str:
    return str(json.loads(answer.body).get("__type", ""))


def base64(blob: bytes) -> str:
    return b64encode(blob).decode()


def audited(written: io.StringIO) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line["event"] == "key_service_call"]
