"""AES-GCM as it would be if nobody looked at the tag: for the proof that somebody does."""

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TAG = 16  # bytes


class Unverified:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, iv: bytes, plain: bytes, aad: bytes) -> bytes:
        return AESGCM(self._key).encrypt(iv, plain, aad)

    def decrypt(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        """GCM encrypts in counter mode, from 2 on (NIST SP 800-38D, 7.2)."""
        counter = Cipher(algorithms.AES(self._key), modes.CTR(iv + b"\0\0\0\2")).decryptor()
        return counter.update(sealed[:-TAG]) + counter.finalize()
