"""Each answer of KMS becomes the error whose remedy mends it, and names the call and the code."""

import pytest

from workers.errors import Fatal, StrongroomError
from workers.sealing.refusals import WrongKey
from workers.store.kms_refusals import refusal
from workers.store.port import Denied, Unavailable

MEANT: list[tuple[int, str, type[StrongroomError], str]] = [
    (400, "ThrottlingException", Unavailable, "It passes"),
    (400, "LimitExceededException", Unavailable, "It passes"),
    (500, "KMSInternalException", Unavailable, "It passes"),
    (500, "KeyUnavailableException", Unavailable, "It passes"),
    (503, "DependencyTimeoutException", Unavailable, "It passes"),
    (500, "SomethingNewException", Unavailable, "It passes"),
    (502, "502", Unavailable, "It passes"),
    (429, "429", Unavailable, "It passes"),
    (400, "AccessDeniedException", Denied, "the role's policy"),
    (400, "ExpiredTokenException", Denied, "Check the credentials"),
    (400, "UnrecognizedClientException", Denied, "Check the credentials"),
    (403, "InvalidSignatureException", Denied, "machine's clock"),
    (400, "RequestExpired", Denied, "machine's clock"),
    (403, "403", Denied, "Check the credentials"),
    (400, "DisabledException", Denied, "Enable the key"),
    (400, "com.amazonaws.kms#DisabledException", Denied, "Enable the key"),
    (400, "KMSInvalidStateException", Denied, "cancel its deletion"),
    (400, "InvalidCiphertextException", WrongKey, "restore its row"),
    (400, "IncorrectKeyException", WrongKey, "restore its row"),
    (400, "NotFoundException", Fatal, "STRONGROOM_KMS_KEYS"),
    (400, "InvalidKeyUsageException", Fatal, "STRONGROOM_KMS_KEYS"),
    (400, "ValidationException", Fatal, "STRONGROOM_KMS_KEYS"),
    (404, "404", Fatal, "STRONGROOM_KMS_KEYS"),
]


@pytest.mark.parametrize(("status", "code", "error", "remedy"), MEANT, ids=lambda part: str(part)[:40])
def test_an_answer_means(status: int, code: str, error: type[StrongroomError], remedy: str) -> None:
    found = refusal("wrap by root key a", status, code)
    assert type(found) is error
    assert remedy in found.remedy
    assert found.message.startswith(f"wrap by root key a: {status}")
    assert found.message.count(code.rpartition("#")[2]) == 1
