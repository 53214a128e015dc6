"""Customers read what the archive wrote, with Amazon's client, through the key service, and nobody else's."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]  # ships no types
import pytest
import zstandard
from botocore.exceptions import ClientError  # type: ignore[import-untyped]  # ships no types

from tests.integration.sealing.environment import official_python
from tests.stack.authority import Authority
from tests.stack.moto_kms import moto_kms
from tests.stack.s3 import S3
from tests.system.fleet import Fleet, Worker, free_port, wait_until
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEYS = {"acme": "acme-api-key-0001", "rival": "rival-api-key-001"}
PAGE = Path(__file__).parents[2] / "docs" / "readers.md"


class KeyService(NamedTuple):
    worker: Worker
    url: str

    def audited(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.worker.log_file.read_text().splitlines()]
        return [line for line in lines if line["event"] == "key_service_call"]


class Customer(NamedTuple):
    """Amazon's client, in the program that customers are shown."""

    s3: S3
    bucket: str
    program: Sequence[str]
    trust: Path

    def read(
        self, service: KeyService, reader: dict[str, str], workspace: str, manifest: bytes
    ) -> "subprocess.CompletedProcess[bytes]":
        given = {
            "AWS_ACCESS_KEY_ID": self.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
            "AWS_REGION": self.s3.region,
            "AWS_ENDPOINT_URL_S3": self.s3.endpoint,
            "AWS_CA_BUNDLE": str(self.trust),
            "WORKSPACE": workspace,
            "BUCKET": self.bucket,
            "KEY_SERVICE": service.url,
            "READER_ID": reader["access key id"],
            "READER_SECRET": reader["secret access key"],
        }
        environment = {"PATH": os.environ["PATH"], **given}
        return subprocess.run(
            self.program, input=manifest, env=environment, capture_output=True, timeout=60, check=False
        )


def messages(read: "subprocess.CompletedProcess[bytes]") -> Counter[str]:
    assert read.returncode == 0, read.stderr.decode()
    whole = zstandard.ZstdDecompressor().stream_reader(read.stdout, read_across_frames=True).readall()
    return Counter(json.loads(line)["event"]["messageId"] for line in whole.splitlines())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@pytest.fixture
def customer(
    s3: S3, fleet: Fleet, authority: Authority, tmp_path: Path, request: pytest.FixtureRequest
) -> Customer:
    [block] = re.findall(r"^```python\n(# read\.py.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "read.py").write_text(block)
    python = official_python(Path(request.config.rootpath))
    return Customer(s3, fleet.bucket, [str(python), str(tmp_path / "read.py")], authority.trust)


@pytest.fixture
def kms_settings() -> Iterator[dict[str, str]]:
    with moto_kms() as kms:
        yield {"STRONGROOM_KMS_KEYS": kms.key(), "STRONGROOM_KMS_ENDPOINT": kms.endpoint}


def key_service(fleet: Fleet, authority: Authority, name: str, **settings: str) -> KeyService:
    shown = authority.issue(name)
    port = free_port()
    tls = {
        "STRONGROOM_KEYSERVICE_PORT": str(port),
        "STRONGROOM_KEYSERVICE_CERT_FILE": str(shown.cert_file),
        "STRONGROOM_KEYSERVICE_KEY_FILE": str(shown.key_file),
    }
    # it knows no Kafka, and its audit lines are written although it is to log errors alone
    alone = {"STRONGROOM_KAFKA_BOOTSTRAP": "127.0.0.1:1", "STRONGROOM_LOG_LEVEL": "error"}
    worker = fleet.started(name, "keyservice", **tls, **alone, **settings).wait_ready()
    return KeyService(worker, f"https://127.0.0.1:{port}")


def test_customers_read_their_own_through_either_root_key_and_nobody_elses(
    fleet: Fleet, authority: Authority, customer: Customer, kms_settings: dict[str, str]
) -> None:
    fleet.settings |= {**kms_settings, "STRONGROOM_KEY_CACHE_LIFE": "5"}
    for workspace, key in KEYS.items():
        fleet.run("workspaces", "set", workspace, "--source", "api:server")
        fleet.run("keys", "add", key, "--workspace", workspace, "--source", "api")
    worker = fleet.worker().wait_ready()
    sent = [
        (f"{workspace}{n}", envelope(key, f"{workspace}{n}"))
        for n in range(100)
        for workspace, key in KEYS.items()
    ]
    fleet.wait_archived(produce(fleet.bootstrap, f"{fleet.prefix}raw-events", sent))
    assert worker.stop() == 0

    readers = {workspace: fleet.json("readers", "add", "--workspace", workspace) for workspace in KEYS}
    manifests = {workspace: fleet.run("manifest", "--workspace", workspace).stdout for workspace in KEYS}
    objects = {
        workspace: {json.loads(line)["key"] for line in manifests[workspace].splitlines()}
        for workspace in KEYS
    }
    by_file = key_service(fleet, authority, "by-file", STRONGROOM_KMS_KEYS="", STRONGROOM_KMS_ENDPOINT="")
    by_kms = key_service(fleet, authority, "by-kms", STRONGROOM_ROOT_KEY_FILE="")
    for service, workspace in ((by_file, "acme"), (by_kms, "rival")):
        read = customer.read(service, readers[workspace], workspace, manifests[workspace])
        assert messages(read) == Counter(f"{workspace}{n}" for n in range(100))
        found = {
            (line["access_key_id"], line["workspace"], line["object"], line["outcome"])
            for line in service.audited()
        }
        reader = readers[workspace]["access key id"]
        assert found == {(reader, workspace, key, "decrypted") for key in objects[workspace]}

    foreign = customer.read(by_file, readers["rival"], "acme", manifests["acme"])
    assert (foreign.returncode, foreign.stdout) == (1, b"")
    assert b"AccessDeniedException" in foreign.stderr
    line = by_file.audited()[-1]
    assert (line["outcome"], line["workspace"], line["asked_workspace"]) == ("access_denied", "rival", "acme")
    assert line["object"] in objects["acme"]
    assert line["peer"] == "127.0.0.1"

    revoked = readers["acme"]["access key id"]
    assert refusal(by_file, readers["acme"], "acme", authority.trust) == ""
    fleet.run("readers", "revoke", revoked, "--reason", "a test")
    states = {row["reader"]: row["state"] for row in fleet.json("readers", "list")}
    assert states == {revoked: "revoked", readers["rival"]["access key id"]: "active"}
    wait_until(
        lambda: refusal(by_file, readers["acme"], "acme", authority.trust) == "UnrecognizedClientException",
        15,
        by_file.worker.log,
    )
    assert refusal(by_file, readers["rival"], "rival", authority.trust) == ""
    for service in (by_file, by_kms):
        assert service.worker.stop() == 0
        log = service.worker.log_file.read_text()
        assert not any(reader["secret access key"] in log for reader in readers.values())


def refusal(service: KeyService, reader: dict[str, str], workspace: str, trust: Path) -> str:
    """What the key service has against this reader; nothing if it is served."""
    client = boto3.client(
        "kms",
        endpoint_url=service.url,
        region_name="us-east-1",
        aws_access_key_id=reader["access key id"],
        aws_secret_access_key=reader["secret access key"],
        verify=str(trust),
    )
    try:
        client.describe_key(KeyId=workspace)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
