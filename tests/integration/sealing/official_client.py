"""Amazon's S3 Encryption Client as a process: seals or opens what standard input says, answers in JSON.

Runs in an environment of its own, which holds that client and nothing of Strongroom.
"""

# mypy: ignore-errors
# its imports are of an environment that mypy does not see

import json
import sys
from base64 import b64decode, b64encode

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.exceptions import S3EncryptionClientError
from s3_encryption.materials.kms_keyring import KmsKeyring


def service(name, endpoint):
    # one try: a refusal is an answer here, and not to be waited for again
    return boto3.client(
        name,
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def main():
    job = json.load(sys.stdin)
    keyring = KmsKeyring(kms_client=service("kms", job["kms"]), kms_key_id="alias/strongroom")
    client = S3EncryptionClient(service("s3", job["s3"]), S3EncryptionClientConfig(keyring=keyring))
    answers = []
    for task in job["tasks"]:
        place = {"Bucket": job["bucket"], "Key": task["key"], "EncryptionContext": task["context"]}
        try:
            if "plain" in task:
                client.put_object(**place, Body=b64decode(task["plain"]))
                answers.append({"put": True})
            else:
                answers.append({"plain": b64encode(client.get_object(**place)["Body"].read()).decode()})
        except S3EncryptionClientError as error:
            answers.append({"refused": f"{type(error).__name__}: {error}"})
    json.dump(answers, sys.stdout)


main()
