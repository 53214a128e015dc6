"""Writes objects.json: objects sealed by Amazon's own S3 Encryption Client for Python (see ../README.md).

Run in an environment of its own, which holds that client and not Strongroom:
    python -m venv /tmp/official && /tmp/official/bin/pip install amazon-s3-encryption-client-python==4.0.0
    /tmp/official/bin/python tests/vectors/sealing/official/make.py
"""

# mypy: ignore-errors
# its imports are of an environment that mypy does not see

import base64
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from s3_encryption.materials.crypto_materials_manager import DefaultCryptoMaterialsManager
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite
from s3_encryption.pipelines import PutEncryptedObjectPipeline

CONTEXTS = {
    "none": {},
    "ours": {
        "clock": "main",
        "day": "2026-11-25",
        "object": "data/ws=acme/src=web/day=2026-11-25/accepted/raw-events.ndjson.zst",
        "source": "web",
        "workspace": "acme",
    },
    "punctuation": {"quote": 'a"b', "slash": "a\\b/c", "space": " a  b "},
}
PLAINS = {"empty": b"", "byte": b"\x00", "block": b"0123456789abcdef", "long": bytes(range(256)) * 5}


class KeyService:
    """Hands out a data key that follows from its name, and a blob that is only a name."""

    meta = SimpleNamespace(config=SimpleNamespace(user_agent_extra=""))

    def __init__(self, name):
        self.key = hashlib.sha256(f"data key of {name}".encode()).digest()
        self.blob = f"wrapped data key of {name}".encode()

    def generate_data_key(self, KeyId, KeySpec, EncryptionContext):  # noqa: N803 - boto3's names
        return {"Plaintext": self.key, "CiphertextBlob": self.blob}


def sealed(name, plain, context):
    service = KeyService(name)
    pipeline = PutEncryptedObjectPipeline(
        cmm=DefaultCryptoMaterialsManager(keyring=KmsKeyring(kms_client=service, kms_key_id="alias/vectors")),
        encryption_algorithm=AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    )
    body, metadata = pipeline.encrypt(plain, context)
    return {
        "name": name,
        "plain": base64.b64encode(plain).decode(),
        "dek": service.key.hex(),
        "wrapped": base64.b64encode(service.blob).decode(),
        "context": context,
        "metadata": metadata,
        "body": base64.b64encode(body).decode(),
    }


objects = [
    sealed(f"{context}-{plain}", PLAINS[plain], CONTEXTS[context]) for context in CONTEXTS for plain in PLAINS
]
target = Path(__file__).with_name("objects.json")
target.write_text(
    json.dumps({"client": version("amazon-s3-encryption-client-python"), "objects": objects}, indent=1) + "\n"
)
print(f"{target}: {len(objects)} objects")
