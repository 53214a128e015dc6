"""A key service that unwraps data keys as docs/format.md says, without the program.

Amazon's client asks it for the data key of each object, and does everything else itself.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cryptography.exceptions import InvalidTag

from tests.stack.kms import kms_before
from tests.system.reader import Reader


@contextmanager
def key_service(reader: Reader) -> Iterator[str]:
    """Its endpoint, on a free port of this machine."""

    def unwrap(operation: str, request: dict[str, Any]) -> Mapping[str, object] | None:
        try:
            key = reader.data_key(b64decode(request["CiphertextBlob"]), request["EncryptionContext"])
        except InvalidTag:
            return None
        return {"KeyId": request["KeyId"], "Plaintext": b64encode(key).decode()}

    with kms_before(unwrap) as endpoint:
        yield endpoint
