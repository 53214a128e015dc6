"""KMS in memory: it can be down, refuse, lie about its keys, and says what it was asked."""

import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.errors import Fatal, StrongroomError
from workers.sealing.keys import Secret, canonical
from workers.sealing.kms import Unwrapped, Wrapped
from workers.sealing.refusals import WrongKey

ACCOUNT = "111122223333"


def arn(name: str, region: str = "eu-west-1") -> str:
    return f"arn:aws:kms:{region}:{ACCOUNT}:key/{name}"


class FakeKms:
    """`fails`: operation, or ARN of a key → what is raised. `answers_as`: the ARN that is given for a key's.

    `asked`: operation, ARN and context of each call.
    """

    def __init__(self, *keys: str, aliases: Mapping[str, str] | None = None) -> None:
        self._keys = {key: AESGCM(secrets.token_bytes(32)) for key in keys}
        self._aliases = aliases or {}
        self.fails: dict[str, StrongroomError] = {}
        self.answers_as: dict[str, str] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _, _ in self.asked]

    async def describe(self, key: str) -> str:
        self._take("describe", key, {})
        if key not in self._aliases:
            raise Fatal(f"no key {key}")
        return self._aliases[key]

    async def encrypt(self, key: str, plain: Secret, context: Mapping[str, str]) -> Wrapped:
        self._take("encrypt", key, context)
        iv = secrets.token_bytes(12)
        blob = iv + self._keys[key].encrypt(iv, plain, canonical(context))
        return Wrapped(blob, self.answers_as.get(key, key))

    async def decrypt(self, key: str, blob: bytes, context: Mapping[str, str]) -> Unwrapped:
        self._take("decrypt", key, context)
        return Unwrapped(self._opened(key, blob, context), self.answers_as.get(key, key))

    async def re_encrypt(self, blob: bytes, source: str, target: str, context: Mapping[str, str]) -> Wrapped:
        self._take("re_encrypt", target, context)
        plain = self._opened(source, blob, context)
        iv = secrets.token_bytes(12)
        again = iv + self._keys[target].encrypt(iv, plain, canonical(context))
        return Wrapped(again, self.answers_as.get(target, target), self.answers_as.get(source, source))

    def _take(self, operation: str, key: str, context: Mapping[str, str]) -> None:
        self.asked.append((operation, key, dict(context)))
        for name in (operation, key):
            if name in self.fails:
                raise self.fails[name]

    def _opened(self, key: str, blob: bytes, context: Mapping[str, str]) -> Secret:
        try:
            return Secret(self._keys[key].decrypt(blob[:12], blob[12:], canonical(context)))
        except (InvalidTag, ValueError):
            raise WrongKey(f"key {key} does not open it") from None
