"""Answers the key service's calls, one after another check, and puts each on record: denied by default."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from workers.errors import Retryable
from workers.keyservice import kms, signed
from workers.keyservice.refusal import Code, Outcome, Refusal
from workers.keyservice.signed import Request, Signed
from workers.keyservice.throttle import Throttle, network_of
from workers.observe import metrics
from workers.observe.logs import AUDIT
from workers.sealing.keys import Reader, Unit
from workers.sealing.readers import ReaderSecret
from workers.sealing.refusals import KeyDisabled, KeyShredded, Refused
from workers.sealing.unit_key import UnitKey

audit = structlog.get_logger(AUDIT)
log = structlog.get_logger()

SHOWN = 1200  # characters of what a caller says, in an audit line: more than a name in S3 has


class Keys(Protocol):
    """The keystore, as far as the key service uses it."""

    async def reader(self, reader: Reader) -> ReaderSecret: ...

    def knows(self, reader: Reader) -> bool: ...

    async def unit_key(self, unit: Unit, *, create: bool) -> UnitKey: ...


class Answer(NamedTuple):
    status: int
    body: bytes
    outcome: Outcome

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self.outcome})"


@dataclass(slots=True)
class Call:
    """What is known of a call by now, for its audit line. `access_key_id` is a claim until `proven`."""

    request_id: str
    peer: str
    operation: str = ""
    access_key_id: str = ""
    proven: bool = False
    workspace: str = ""  # the credential's
    asked: dict[str, str] = field(default_factory=dict)  # by a proven caller: which workspace's, which object


class Service:
    """Of one event loop. `now`: ms since the epoch; `uptime` and `timeout`: seconds."""

    def __init__(
        self,
        keys: Keys,
        *,
        region: str,
        rate: float,
        failure_rate: float,
        timeout: float,
        now: Callable[[], int],
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys, self._region, self._timeout = keys, region, timeout
        self._calls, self._failures = Throttle(rate), Throttle(failure_rate)
        self._now, self._uptime = now, uptime

    async def answer(self, request: Request, peer: str, request_id: str) -> Answer:
        """Never raises but for a cancellation."""
        call = Call(request_id, peer)
        try:
            async with asyncio.timeout(self._timeout):
                answer = Answer(200, *await self._answer(request, call))
        except Refusal as refusal:
            answer = _refused(refusal)
        except (Retryable, TimeoutError) as error:
            log.warning(
                "key_service_unavailable", request_id=request_id, why=str(error) or "no answer in time"
            )
            answer = _refused(unavailable())
        except asyncio.CancelledError:  # at a stop
            self._put_on_record(call, Outcome.UNAVAILABLE)
            raise
        except Exception:  # whatever it is, the caller gets no word of it and may try again
            log.exception("key_service_fault", request_id=request_id)
            answer = _refused(Refusal(Code.INTERNAL, Outcome.FAULT, "The request could not be answered."))
        self._put_on_record(call, answer.outcome)
        return answer

    def refuse(self, refusal: Refusal, peer: str, request_id: str) -> Answer:
        """For a request that did not arrive whole."""
        self._put_on_record(Call(request_id, peer), refusal.outcome)
        return _refused(refusal)

    def _put_on_record(self, call: Call, outcome: Outcome) -> None:
        metrics.KEY_SERVICE_CALLS.labels(outcome=outcome).inc()
        audit.info(
            "key_service_call",
            request_id=call.request_id,
            peer=call.peer,
            operation=call.operation,
            access_key_id=call.access_key_id,
            proven=call.proven,
            workspace=call.workspace,
            **call.asked,
            outcome=outcome.value,
        )

    async def _answer(self, request: Request, call: Call) -> tuple[bytes, Outcome]:
        await self._identify(request, call)
        if not self._calls.take(call.access_key_id, self._uptime()):
            raise throttled()
        call.operation = kms.operation_in(request.header("x-amz-target"))
        match call.operation:
            case "Decrypt":
                return await self._decrypt(request, call), Outcome.DECRYPTED
            case "DescribeKey":
                kms.check_key(kms.parse(request.body, kms.DescribeKeyRequest).key_id, call.workspace)
                return kms.described(call.workspace), Outcome.DESCRIBED
            case _:
                raise kms.access_denied("Readers may call Decrypt and DescribeKey alone.")

    async def _identify(self, request: Request, call: Call) -> None:
        """Proves who calls. Those who fail too often are not even looked up; a reader who is known is proven
        whoever shares his address."""
        network, uptime = network_of(call.peer), self._uptime()
        try:
            claim = signed.read(request, region=self._region, now=self._now())
            call.access_key_id = claim.reader.access_key_id
            if not self._keys.knows(claim.reader) and not self._failures.may(network, uptime):
                raise throttled()
            await self._prove(request, claim)
        except Refusal as refusal:
            if refusal.outcome is not Outcome.THROTTLED and not self._failures.take(network, uptime):
                raise throttled() from None
            raise
        call.proven, call.workspace = True, claim.reader.workspace

    async def _prove(self, request: Request, claim: Signed) -> None:
        try:
            secret = await self._keys.reader(claim.reader)
        except Refused:  # nobody made it, it was revoked, or its workspace's key was withdrawn
            raise signed.unknown_reader() from None
        signed.prove(request, claim, secret.text)
        if secret.expires_at is not None and self._now() >= secret.expires_at:
            raise Refusal(Code.EXPIRED_TOKEN, Outcome.EXPIRED, "The credential has expired.")

    async def _decrypt(self, request: Request, call: Call) -> bytes:
        wanted = kms.parse(request.body, kms.DecryptRequest)
        context = wanted.encryption_context
        call.asked = {
            "asked_workspace": context.get("workspace", "")[:SHOWN],
            "object": context.get("object", "")[:SHOWN],
        }
        if context.get("workspace") != call.workspace:
            raise kms.access_denied("The encryption context is not of this credential's workspace.")
        kms.check_key(wanted.key_id, call.workspace)
        blob, unit = kms.blob_in(wanted), kms.unit_in(context)
        try:
            key = await self._keys.unit_key(unit, create=False)
            return kms.decrypted(call.workspace, key.unwrap(blob, context))
        except KeyDisabled:
            raise Refusal(Code.DISABLED, Outcome.DISABLED, "The key of this day is disabled.") from None
        except KeyShredded:
            raise Refusal(Code.INVALID_STATE, Outcome.SHREDDED, "The key of this day was shredded.") from None
        except Refused:
            raise kms.invalid_ciphertext() from None


def _refused(refusal: Refusal) -> Answer:
    return Answer(refusal.code.status, kms.refused(refusal), refusal.outcome)


def throttled() -> Refusal:
    return Refusal(Code.THROTTLING, Outcome.THROTTLED, "Rate exceeded.")


def unavailable() -> Refusal:
    return Refusal(Code.TIMED_OUT, Outcome.UNAVAILABLE, "The keystore did not answer: try again.")
