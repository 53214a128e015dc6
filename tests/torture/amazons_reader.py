"""Amazon's S3 Encryption Client as a process: opens the objects that standard input names, each to a frame.

Runs in an environment of its own, which holds that client and nothing of Strongroom. A frame is: the
object's number in the job, 0 for opened or 1 for refused, a length (big endian, 4, 1 and 4 bytes), the bytes.
"""

# mypy: ignore-errors
# its imports are of an environment that mypy does not see

import json
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.exceptions import S3EncryptionClientError
from s3_encryption.materials.kms_keyring import KmsKeyring

THREADS = 4


def service(session, name, endpoint):
    return session.client(
        name, endpoint_url=endpoint, region_name="us-east-1", config=Config(s3={"addressing_style": "path"})
    )


def main():
    job = json.load(sys.stdin)
    own, writing = threading.local(), threading.Lock()

    def client():
        if not hasattr(own, "client"):
            session = boto3.Session()
            keyring = KmsKeyring(
                kms_client=service(session, "kms", job["kms"]), kms_key_id="alias/strongroom"
            )
            own.client = S3EncryptionClient(
                service(session, "s3", job["s3"]), S3EncryptionClientConfig(keyring=keyring)
            )
        return own.client

    def open_one(number):
        task = job["tasks"][number]
        try:
            opened = client().get_object(
                Bucket=job["bucket"], Key=task["key"], EncryptionContext=task["context"]
            )
            refused, content = 0, opened["Body"].read()
        except S3EncryptionClientError as error:
            refused, content = 1, f"{type(error).__name__}: {error}".encode()
        with writing:
            sys.stdout.buffer.write(struct.pack(">IBI", number, refused, len(content)) + content)

    with ThreadPoolExecutor(THREADS) as threads:
        for _ in threads.map(open_one, range(len(job["tasks"]))):
            pass
    sys.stdout.buffer.flush()


main()
