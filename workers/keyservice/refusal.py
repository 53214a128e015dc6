"""Why the key service refuses a call: what AWS KMS calls it on the wire, and what the audit line calls it."""

from enum import Enum, StrEnum


class Outcome(StrEnum):
    """What became of a call: stands in its audit line and is the metric's label."""

    DECRYPTED = "decrypted"
    DESCRIBED = "described"
    UNSIGNED = "unsigned"  # no signature, or none that could be read
    UNKNOWN_READER = "unknown_reader"  # never made, revoked, or of a workspace whose key is withdrawn
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"
    THROTTLED = "throttled"
    ACCESS_DENIED = "access_denied"  # another workspace's, or an operation that nobody may call
    MALFORMED = "malformed"
    INVALID_CIPHERTEXT = "invalid_ciphertext"
    DISABLED = "disabled"
    SHREDDED = "shredded"
    UNAVAILABLE = "unavailable"  # the keystore or a root key can't be reached
    FAULT = "fault"  # something that a person must mend


class Code(Enum):
    """AWS KMS's error types (API reference, Common Errors and Decrypt) with the status that carries each."""

    MISSING_TOKEN = ("MissingAuthenticationTokenException", 400)
    INCOMPLETE_SIGNATURE = ("IncompleteSignatureException", 400)
    INVALID_SIGNATURE = ("InvalidSignatureException", 400)
    UNRECOGNIZED_CLIENT = ("UnrecognizedClientException", 400)
    EXPIRED_TOKEN = ("ExpiredTokenException", 400)
    THROTTLING = ("ThrottlingException", 400)
    ACCESS_DENIED = ("AccessDeniedException", 400)
    UNKNOWN_OPERATION = ("UnknownOperationException", 400)
    SERIALIZATION = ("SerializationException", 400)
    VALIDATION = ("ValidationException", 400)
    NOT_FOUND = ("NotFoundException", 400)
    INVALID_CIPHERTEXT = ("InvalidCiphertextException", 400)
    DISABLED = ("DisabledException", 400)
    INVALID_STATE = ("KMSInvalidStateException", 400)
    SLOW = ("RequestTimeoutException", 408)
    TOO_LARGE = ("RequestEntityTooLargeException", 413)
    INTERNAL = ("KMSInternalException", 500)
    # clients try again after these two
    TIMED_OUT = ("DependencyTimeoutException", 503)

    @property
    def type(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


class Refusal(Exception):
    """The answer to a call that gets nothing. `message` is for the caller: no secret, no inner name."""

    def __init__(self, code: Code, outcome: Outcome, message: str) -> None:
        super().__init__(f"{code.type}: {message}")
        self.code, self.outcome, self.message = code, outcome, message
