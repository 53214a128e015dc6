"""An independent reader of the bucket: written from docs/format.md, importing nothing of the program.

What it reads, anybody can read who holds the root key; what it can't, the documented format does not say.
"""

import base64
import gzip
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SUITE = b"\x00\x73"


@dataclass
class Entry:
    """A ledger entry with the chain that it stands in."""

    chain: str
    body: dict[str, Any]


@dataclass
class Reader:
    """`client` is a boto3 S3 client."""

    client: Any
    bucket: str
    root_key_file: Path
    unwrapped: dict[str, bytes] = field(default_factory=dict)  # name of a row → the key in it

    # -- the ledger -----------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Every entry of every chain, each checked against the one before it."""
        for chain in sorted({key.rpartition("/")[0] + "/" for key in self.keys("ledger/v1/")}):
            before = self.get(chain + "genesis.json")[0]
            offset = json.loads(before)["first"]
            while (found := self.find(f"{chain}{offset:020d}.json")) is not None:
                entry = json.loads(found)
                if entry.get("kind") == "closing":
                    break
                assert entry["previous"] == sha256(before).hexdigest(), f"{chain}{offset}: broken chain"
                assert entry["first"] == offset
                counted = sum(sum(reasons.values()) for reasons in entry["counts"].values()) + entry["gaps"]
                assert counted == entry["next"] - entry["first"], f"{chain}{offset}: miscounted"
                yield Entry(chain, entry)
                before, offset = found, entry["next"]

    def heads(self) -> dict[int, int]:
        """Partition → the offset that is archived next; 0 entries leave a partition out."""
        return {entry.body["partition"]: entry.body["next"] for entry in self.entries()}

    def counts(self) -> dict[str, dict[str, int]]:
        """Disposition → reason → records, over the whole ledger."""
        total: dict[str, dict[str, int]] = {}
        for entry in self.entries():
            for disposition, reasons in entry.body["counts"].items():
                for reason, count in reasons.items():
                    found = total.setdefault(disposition, {})
                    found[reason] = found.get(reason, 0) + count
        return total

    # -- the archive ----------------------------------------------------------------------------

    def lines(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Every archived line, with what its entry says of its object."""
        for entry in self.entries():
            for stored in entry.body["objects"]:
                for line in self.open(stored).splitlines():
                    yield stored, line

    def open(self, stored: dict[str, Any]) -> bytes:
        body, metadata = self.get(stored["key"])
        assert len(body) == stored["stored_bytes"]
        assert sha256(body).hexdigest() == stored["sha256"]
        assert metadata["x-amz-c"] == "115"
        context = json.loads(metadata["x-amz-t"])
        assert context == {
            "aws:x-amz-cek-alg": "115",
            "workspace": stored["workspace"],
            "source": stored["source"],
            "day": stored["day"],
            "clock": stored["clock"],
            "object": stored["key"],
        }
        message = base64.b64decode(metadata["x-amz-i"])
        dek = self.data_key(base64.b64decode(metadata["x-amz-3"]), context)
        prk = hmac.digest(message, dek, "sha512")

        def expand(label: bytes, length: int) -> bytes:
            return HKDFExpand(hashes.SHA512(), length, SUITE + label).derive(prk)

        assert expand(b"COMMITKEY", 28) == base64.b64decode(metadata["x-amz-d"])
        plain = AESGCM(expand(b"DERIVEKEY", 32)).decrypt(b"\x01" * 12, body, SUITE)
        if stored["key"].endswith(".gz"):
            return gzip.decompress(plain)
        return zstandard.ZstdDecompressor().decompress(plain)

    def data_key(self, blob: bytes, context: dict[str, str]) -> bytes:
        """What an object's x-amz-3 wraps. Raises InvalidTag for a blob of another context."""
        return self._unwrap(blob, self._unit_key(context), context)

    def _unit_key(self, stored: dict[str, Any]) -> bytes:
        unit = {name: stored[name] for name in ("workspace", "source", "day", "clock")}
        name = "keys/v1/ws={workspace}/src={source}/day={day}/clock={clock}.json".format(**unit)
        if name not in self.unwrapped:
            row = json.loads(self.get(name)[0])
            wrapping = self._workspace_key(stored["workspace"], row["under"])
            context = {**unit, "generation": str(row["generation"])}
            self.unwrapped[name] = self._unwrap(base64.b64decode(row["wrapped"]), wrapping, context)
        return self.unwrapped[name]

    def _workspace_key(self, workspace: str, generation: int) -> bytes:
        name = f"keys/v1/ws={workspace}/l1.json"
        if f"{name}#{generation}" not in self.unwrapped:
            keys = json.loads(self.get(name)[0])["keys"]
            (wrapped,) = next(key for key in keys if key["generation"] == generation)["wrapped"].values()
            blob = base64.b64decode(wrapped)
            root = base64.b64decode(self.root_key_file.read_text())
            context = {"workspace": workspace, "generation": str(generation), "purpose": "strongroom-l1"}
            self.unwrapped[f"{name}#{generation}"] = AESGCM(
                hmac.digest(root, b"strongroom root wrap 1", "sha256")
            ).decrypt(blob[5:17], blob[17:], blob[:5] + canonical(context))
        return self.unwrapped[f"{name}#{generation}"]

    @staticmethod
    def _unwrap(blob: bytes, key: bytes, context: dict[str, str]) -> bytes:
        header, iv, sealed = blob[:27], blob[27:39], blob[39:]
        return AESGCM(key).decrypt(iv, sealed, header + canonical(context))

    # -- S3 -------------------------------------------------------------------------------------

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def get(self, key: str) -> tuple[bytes, dict[str, str]]:
        found = self.client.get_object(Bucket=self.bucket, Key=key)
        return found["Body"].read(), found["Metadata"]

    def find(self, key: str) -> bytes | None:
        try:
            return self.get(key)[0]
        except self.client.exceptions.NoSuchKey:
            return None


def canonical(context: dict[str, str]) -> bytes:
    """The number of pairs, then names and values in the order of names, each after its length."""
    parts = [len(context).to_bytes(2, "big")]
    for name in sorted(context):
        for text in (name, context[name]):
            parts.append(len(text).to_bytes(2, "big") + text.encode("ascii"))
    return b"".join(parts)
