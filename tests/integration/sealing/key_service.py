"""A key service for the tests, in AWS KMS's protocol: enough of it for Amazon's clients to seal and open."""

from base64 import b64decode, b64encode

from workers.sealing.keys import Level, Secret, Unit, WrappingKey, new_key
from workers.sealing.refusals import Refused


class KeyService:
    """Wraps and unwraps data keys of one unit, as Strongroom does, and writes down what it was asked."""

    def __init__(self, unit: Unit, key: bytes) -> None:
        self._wrapping = WrappingKey(
            Secret(key), Level.DATA, workspace=unit.workspace, day=unit.day, generation=1
        )
        self.asked: list[tuple[str, dict[str, str]]] = []

    def answer(self, operation: str, request: dict[str, object]) -> dict[str, object] | None:
        """None for refused."""
        context = request["EncryptionContext"]
        assert isinstance(context, dict)
        self.asked.append((operation, context))
        if operation == "GenerateDataKey":
            plain = new_key()
            blob = self._wrapping.wrap(plain, context)
        else:
            blob = b64decode(str(request["CiphertextBlob"]))
            try:
                plain = self._wrapping.unwrap(blob, context)
            except Refused:
                return None
        return {
            "KeyId": request["KeyId"],
            "Plaintext": b64encode(plain).decode(),
            "CiphertextBlob": b64encode(blob).decode(),
        }
