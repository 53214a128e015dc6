"""Ed25519 signatures (RFC 8032): who holds no key of the fleet can check them, and can make none."""

import base64
import binascii
import os
import re
import stat
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from workers.errors import Fatal

FILE_BYTES_MAX = 64 * 1024
BLOCK = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)
MAKE = "openssl genpkey -algorithm ed25519 -out FILE"
SHOW = "openssl pkey -in FILE -pubout"


class Trust:
    """The public keys that are believed; several during a rotation, and after it for what is older."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys = {key_id(key): key for key in keys}

    @classmethod
    def load(cls, path: Path) -> "Trust":
        """From a PEM file of public keys, one behind the other. Raises Fatal for anything else."""
        body = _read(path, secret=False)
        keys = []
        blocks = list(BLOCK.finditer(body))
        for block in blocks:
            try:
                key = load_pem_public_key(block[0])
            except (ValueError, UnsupportedAlgorithm):
                key = None
            if not isinstance(key, Ed25519PublicKey):
                raise Fatal(
                    f"{path} holds a {block[1].decode().lower()} that is no public key of Ed25519",
                    remedy=f"Put there what `{SHOW}` prints, one behind the other",
                )
            keys.append(key)
        if not keys:
            raise Fatal(
                f"{path} holds no public key in PEM",
                remedy=f"Put there what `{SHOW}` prints, one behind the other",
            )
        return cls(keys)

    def __or__(self, other: "Trust") -> "Trust":
        return Trust([*self._keys.values(), *other._keys.values()])

    def signed(self, message: bytes, key: str, signature: str) -> bool:
        """Whether the key of that id, one of these, made the signature (Base64) of the message."""
        public = self._keys.get(key)
        if public is None:
            return False
        try:
            public.verify(base64.b64decode(signature, validate=True), message)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


class Signer:
    """A private key. Its repr names it and says nothing about it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key = key_id(key.public_key())
        self.trust = Trust([key.public_key()])

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """From a PEM file that its owner alone can read. Raises Fatal for anything else."""
        try:
            key = load_pem_private_key(_read(path, secret=True), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise Fatal(
                f"{path} is no private key of Ed25519 in PEM without a password",
                remedy=f"Make one: `{MAKE}`",
            )
        return cls(key)

    def sign(self, message: bytes) -> str:
        """Base64. The same message gives the same signature."""
        return base64.b64encode(self._key.sign(message)).decode()

    def __repr__(self) -> str:
        return f"Signer({self.key})"


def key_id(key: Ed25519PublicKey) -> str:
    """16 hex digits of the SHA-256 of the 32 bytes."""
    return sha256(key.public_bytes_raw()).hexdigest()[:16]


def _read(path: Path, *, secret: bool) -> bytes:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Fatal(f"{path} is no regular file", remedy="Name a file")
            if secret and found.st_mode & 0o077:
                raise Fatal(
                    f"{path}, a private key, is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                    remedy=f"Run: chmod 600 {path}",
                )
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise Fatal(f"{path} can't be read: {error.strerror}", remedy="Name another file") from None
