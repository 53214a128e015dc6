"""L0: a root key, which wraps the workspaces' keys: its protocol, and one in a file for development."""

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.errors import Fatal
from workers.sealing.keys import IV_BYTES, KEY_BYTES, Secret, canonical, checked_key, new_key
from workers.sealing.refusals import MalformedKey, WrongKey

MAGIC = b"SRK1\x01"  # an L1 key wrapped by a file root, version 1
FILE_BYTES_MAX = 1024


class RootKey(Protocol):
    """Wraps and unwraps L1 keys; the context is bound to the wrapping and must be given again."""

    @property
    def fingerprint(self) -> str:
        """Names the key and says nothing about it; the same in every worker that holds it."""

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        """Raises Retryable where a key service is down."""

    async def unwrap(self, blob: bytes, context: Mapping[str, str]) -> Secret:
        """Raises Retryable where a key service is down, Refused for a blob of another key or context."""

    async def take_over(self, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> bytes | None:
        """The key wrapped by this root, from wrappings by others, without its plaintext coming here.

        None where that can't be done. Raises as `wrap` and `unwrap`.
        """


class FileRoot:
    """A root key in a file of one line of Base64, readable by its owner alone."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(hmac.digest(key, b"strongroom root wrap 1", "sha256"))
        self._fingerprint = "file:" + hmac.digest(key, b"strongroom root fingerprint 1", "sha256")[:12].hex()

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def __repr__(self) -> str:
        return f"FileRoot({self._fingerprint})"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "FileRoot":
        """Raises Fatal for a file that is missing, open to others, or no root key."""
        return cls(_decoded(_read(Path(path)), Path(path)))

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "FileRoot":
        """Makes a new key at `path`, whole or not at all. Raises Fatal rather than replace a file."""
        target, key = Path(path), new_key()
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            _write(draft, base64.b64encode(key) + b"\n")
            try:
                os.link(draft, target)  # fails where the name is taken; a rename would replace a key in use
            finally:
                draft.unlink()
            _sync_folder(target.parent)
        except FileExistsError:
            raise Fatal(
                f"{target} exists",
                remedy="Use it as it is, or move it away: objects sealed under it can't be opened without it",
            ) from None
        except OSError as error:
            raise Fatal(
                f"no root key could be written to {target}: {error.strerror}",
                remedy="Name a file in a folder that exists and that this user may write to",
            ) from None
        return cls(key)

    async def wrap(self, key: bytes, context: Mapping[str, str]) -> bytes:
        iv = secrets.token_bytes(IV_BYTES)
        return MAGIC + iv + self._aead.encrypt(iv, key, MAGIC + canonical(context))

    async def unwrap(self, blob: bytes, context: Mapping[str, str]) -> Secret:
        if not blob.startswith(MAGIC):
            raise MalformedKey("no key wrapped by a root key in a file")
        iv, sealed = blob[len(MAGIC) :][:IV_BYTES], blob[len(MAGIC) + IV_BYTES :]
        try:
            return checked_key(Secret(self._aead.decrypt(iv, sealed, MAGIC + canonical(context))))
        except (InvalidTag, ValueError):  # ValueError: an IV that was cut off
            raise WrongKey(f"a wrapped workspace key does not open under root key {self}") from None

    async def take_over(self, wrapped: Mapping[str, bytes], context: Mapping[str, str]) -> bytes | None:
        return None

    def __str__(self) -> str:
        return self._fingerprint


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise Fatal(f"root key {path} is no regular file", remedy="Name a file")
            if found.st_mode & 0o077:
                raise Fatal(
                    f"root key {path} is open to others (mode {stat.S_IMODE(found.st_mode):04o})",
                    remedy=f"Run: chmod 600 {path}",
                )
            return file.read(FILE_BYTES_MAX)
    except FileNotFoundError:
        raise Fatal(
            f"root key {path} is not there",
            remedy="Set STRONGROOM_ROOT_KEY_FILE to it. Only for a new fleet, make one: "
            f"(umask 077; openssl rand -base64 32 > {path})",
        ) from None
    except OSError as error:
        raise Fatal(
            f"root key {path} can't be read: {error.strerror}", remedy="Name a readable file"
        ) from None


def _decoded(content: bytes, path: Path) -> bytes:
    try:
        key = base64.b64decode(content.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise Fatal(
            f"root key {path} does not hold {KEY_BYTES} bytes in Base64",
            remedy="Restore it from where it is kept; a new key can't open what the old one sealed",
        )
    return key


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
