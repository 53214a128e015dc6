"""docs/format.md is enough: a reader written by it alone opens what the program sealed."""

import base64
import gzip
import hashlib
import hmac
import json
import struct
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from workers.by import By
from workers.intake.dispositions import Clock
from workers.ledger.pack import Compression, Packer
from workers.sealing import readers
from workers.sealing.keys import Unit
from workers.sealing.keystore import Keystore
from workers.sealing.replicas import Replicas
from workers.sealing.root import FileRoot
from workers.sealing.roots import Roots
from workers.sealing.workspaces import Workspaces
from workers.store.memory import MemoryStore
from workers.store.retry import Retry

OBJECT = "data/ws=acme/src=web/day=2026-11-25/accepted/some-object.ndjson.gz"
LINE = b'{"v":1,"writeKey":"k","receivedAt":"2026-11-25T00:00:00.000Z","event":{}}\n'


def canonical(context: dict[str, str]) -> bytes:
    encoded = struct.pack(">H", len(context))
    for name in sorted(context):
        for text in (name.encode(), context[name].encode()):
            encoded += struct.pack(">H", len(text)) + text
    return encoded


def unwrapped(blob: bytes, head: int, key: bytes, context: dict[str, str]) -> bytes:
    return AESGCM(key).decrypt(blob[head : head + 12], blob[head + 12 :], blob[:head] + canonical(context))


def expand(prk: bytes, info: bytes, length: int) -> bytes:
    return hmac.digest(prk, info + b"\x01", "sha512")[:length]


async def body_of(store: MemoryStore, key: str) -> dict[str, object]:
    row: dict[str, object] = json.loads((await store.get(key)).body)
    return row


async def workspace_key(store: MemoryStore, root: FileRoot, root_file: Path, generation: object) -> bytes:
    """acme's, of this generation."""
    row = await body_of(store, "keys/v1/ws=acme/l1.json")
    assert isinstance(row["keys"], list)
    found = next(key for key in row["keys"] if key["generation"] == generation)
    blob = base64.b64decode(found["wrapped"][root.fingerprint])
    assert blob[:5] == b"SRK1\x01"
    context = {"generation": str(generation), "purpose": "strongroom-l1", "workspace": "acme"}
    return unwrapped(blob, 5, wrapping_key(root_file), context)


def wrapping_key(root_file: Path) -> bytes:
    return hmac.digest(base64.b64decode(root_file.read_bytes()), b"strongroom root wrap 1", "sha256")


async def test_what_a_customer_signs_with_is_what_the_page_says(tmp_path: Path) -> None:
    root_file, store = tmp_path / "root.key", MemoryStore()
    root = FileRoot.create(root_file)
    roots, replicas = Roots([root]), Replicas([store], requests=8)
    await Keystore([store], roots, life=300).unit_key(
        Unit("acme", "web", "2026-11-25", Clock.MAIN), create=True
    )
    by = By("ada", "desk", "", 1_795_000_000_000)  # 2026-11-18
    reader, secret = await readers.add(
        replicas,
        Workspaces(replicas, roots, keep=1, now=lambda: by.now),
        "acme",
        expires_at=by.now + 1,
        by=by,
        retry=Retry(),
    )
    workspace, _, number = reader.access_key_id.partition(".")
    row = await body_of(store, f"keys/v1/ws={workspace}/reader={number}.json")
    l1 = await workspace_key(store, root, root_file, row["under"])
    blob = base64.b64decode(str(row["wrapped"]))
    header = b"\x01" + hashlib.sha256(b"acme").digest()[:16] + struct.pack(">IH", 20261118, 1)
    assert blob[:27] == b"SRK4" + header
    key = unwrapped(
        blob,
        27,
        l1,
        {
            "expires_at": str(by.now + 1),
            "made_at": str(by.now),
            "number": number,
            "purpose": "strongroom-reader",
            "workspace": "acme",
        },
    )
    assert base64.urlsafe_b64encode(key).rstrip(b"=") == secret.text.encode()


async def test_a_reader_written_by_the_page_opens_an_object(tmp_path: Path) -> None:
    root_file, store = tmp_path / "root.key", MemoryStore()
    root = FileRoot.create(root_file)
    unit_key = await Keystore([store], Roots([root]), life=300).unit_key(
        Unit("acme", "web", "2026-11-25", Clock.MAIN), create=True
    )
    sealed = unit_key.seal(Packer(Compression.GZIP, 1).pack(LINE), OBJECT)

    unit = await body_of(store, "keys/v1/ws=acme/src=web/day=2026-11-25/clock=main.json")
    l1 = await workspace_key(store, root, root_file, unit["under"])

    blob = base64.b64decode(str(unit["wrapped"]))
    header = b"\x01" + hashlib.sha256(b"acme").digest()[:16] + struct.pack(">IH", 20261125, unit["under"])
    assert blob[:27] == b"SRK2" + header
    l2 = unwrapped(
        blob,
        27,
        l1,
        {
            "clock": "main",
            "day": "2026-11-25",
            "generation": str(unit["generation"]),
            "source": "web",
            "workspace": "acme",
        },
    )

    metadata = sealed.metadata
    assert (metadata["x-amz-c"], metadata["x-amz-w"]) == ("115", "12")
    context = json.loads(metadata["x-amz-t"])
    assert context == {
        "clock": "main",
        "day": "2026-11-25",
        "object": OBJECT,
        "source": "web",
        "workspace": "acme",
        "aws:x-amz-cek-alg": "115",
    }
    blob = base64.b64decode(metadata["x-amz-3"])
    assert blob[:4] == b"SRK3"
    assert len(blob) == 27 + 12 + 32 + 16
    dek = unwrapped(blob, 27, l2, context)
    prk = hmac.digest(base64.b64decode(metadata["x-amz-i"]), dek, "sha512")
    assert base64.b64decode(metadata["x-amz-d"]) == expand(prk, b"\x00\x73COMMITKEY", 28)
    key = expand(prk, b"\x00\x73DERIVEKEY", 32)
    assert gzip.decompress(AESGCM(key).decrypt(b"\x01" * 12, sealed.body, b"\x00\x73")) == LINE
