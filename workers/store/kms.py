"""AWS KMS, or a server that speaks its protocol: the client behind sealing's root keys.

Keys pass through here in the clear. So botocore is kept from logging what it sends and gets, and errors are
raised where nothing of a request hangs on them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from workers.errors import StrongroomError
from workers.sealing.keys import Secret
from workers.sealing.kms import Kms, Unwrapped, Wrapped
from workers.store.connect import CONNECT_TIMEOUT, VerifiedConfig, open_session, refuse_clear_text
from workers.store.failures import NO_ANSWER, NO_CREDENTIALS
from workers.store.kms_refusals import CHECK_GRANTS, refusal, unusable
from workers.store.refusals import no_credentials, unanswered

READ_TIMEOUT = 10.0  # seconds without a byte; KMS answers in some milliseconds
ANSWER_TIMEOUT = 15.0  # seconds for a call, the way to the credentials included

# at debug level these write bodies of requests and answers
for _library in ("botocore", "aiobotocore", "aioboto3"):
    _logger = logging.getLogger(_library)
    _logger.setLevel(max(logging.INFO, _logger.getEffectiveLevel()))  # commands keep it quieter than that


@asynccontextmanager
async def open_kms(region: str, *, endpoint: str | None, allow_http: bool = False) -> AsyncIterator[Kms]:
    """With the credentials that botocore finds; connects to nothing but their source.

    `endpoint`: a URL, None for AWS itself. AWS_CA_BUNDLE names authorities to trust instead of the system's.
    Raises Fatal for an address that won't do, Denied where there are no credentials.
    """
    if endpoint is not None:
        refuse_clear_text(endpoint, allow_http=allow_http)
    what = f"open KMS in {region}"
    session = await _answered(what, open_session(allow_http=allow_http))
    async with AsyncExitStack() as opened:
        client = session.aws.client(
            "kms",
            region_name=region,
            endpoint_url=endpoint,
            config=VerifiedConfig(
                http_session_cls=session.http,
                retries={"total_max_attempts": 1},  # who calls decides
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
            ),
        )
        client = await _answered(what, opened.enter_async_context(client))
        # AWS_ENDPOINT_URL_KMS and profiles have a say in it too
        refuse_clear_text(client.meta.endpoint_url, allow_http=allow_http)
        yield _Kms(client)


class _Kms:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def describe(self, key: str) -> str:
        answer = await _answered(f"describe root key {key}", self._client.describe_key(KeyId=key))
        return str(answer.get("KeyMetadata", {}).get("Arn", ""))

    async def encrypt(self, key: str, plain: Secret, context: Mapping[str, str]) -> Wrapped:
        call = self._client.encrypt(KeyId=key, Plaintext=plain, EncryptionContext=dict(context))
        answer = await _answered(f"wrap by root key {key}", call)
        return _wrapped(answer)

    async def decrypt(self, key: str, blob: bytes, context: Mapping[str, str]) -> Unwrapped:
        call = self._client.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionContext=dict(context))
        answer = await _answered(f"open by root key {key}", call)
        return Unwrapped(Secret(answer.get("Plaintext", b"")), str(answer.get("KeyId", "")))

    async def re_encrypt(self, blob: bytes, source: str, target: str, context: Mapping[str, str]) -> Wrapped:
        call = self._client.re_encrypt(
            CiphertextBlob=blob,
            SourceKeyId=source,
            SourceEncryptionContext=dict(context),
            DestinationKeyId=target,
            DestinationEncryptionContext=dict(context),
        )
        answer = await _answered(f"hand on from root key {source} to {target}", call)
        return _wrapped(answer)


def _wrapped(answer: Mapping[str, Any]) -> Wrapped:
    return Wrapped(
        answer.get("CiphertextBlob", b""), str(answer.get("KeyId", "")), str(answer.get("SourceKeyId", ""))
    )


async def _answered(what: str, call: Any) -> Any:
    """What `call` returns, or an error of the port without botocore's behind it: that holds the request."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await call
    except StrongroomError:
        raise
    except Exception as error:
        failure = _meaning(what, error)
    raise failure


def _meaning(what: str, error: Exception) -> StrongroomError:
    match error:
        case ClientError():
            if error.operation_name not in _ASKED:  # of the service that gives out credentials
                return no_credentials(what, error, CHECK_GRANTS)
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return refusal(what, status, error.response["Error"]["Code"])
        case _ if isinstance(error, NO_CREDENTIALS):
            return no_credentials(what, error, CHECK_GRANTS)
        case _ if isinstance(error, NO_ANSWER):
            return unanswered(what, error)
        case _:  # botocore refused the call, or could not read the answer
            return unusable(what, type(error).__name__)


_ASKED = frozenset({"DescribeKey", "Encrypt", "Decrypt", "ReEncrypt"})
