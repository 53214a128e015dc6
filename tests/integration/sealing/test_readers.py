"""A customer reads the archive with Amazon's client, a manifest and the key service, by docs/readers.md."""

import base64
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard

from tests.stack.s3 import S3
from tests.stack.servers import free_ports
from tests.system.fleet import COMMAND, Worker
from tests.unit.intake.making import envelope
from tests.unit.ledger.audited import ENTRIES, archived
from workers.store.s3 import open_s3

PAGE = Path(__file__).parents[3] / "docs" / "readers.md"
ROOT_KEY = bytes(range(32))  # of tests.unit.ledger.audited


class Filled(NamedTuple):
    """A bucket that the archive's own flusher filled."""

    s3: S3
    bucket: str
    folder: Path  # with the root key in it

    def settings(self) -> dict[str, str]:
        return {
            "STRONGROOM_S3_ENDPOINT": self.s3.endpoint,
            "STRONGROOM_S3_REGION": self.s3.region,
            "STRONGROOM_S3_BUCKET": self.bucket,
        }

    def with_keys(self) -> dict[str, str]:
        return {**self.settings(), "STRONGROOM_ROOT_KEY_FILE": str(self.folder / "root.key")}


def strongroom(settings: dict[str, str], *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
async def filled(s3: S3, tmp_path: Path) -> AsyncIterator[Filled]:
    store = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
    await archived(store)
    await store.close()
    root_key_file = tmp_path / "root.key"
    root_key_file.touch(0o600)
    root_key_file.write_bytes(base64.b64encode(ROOT_KEY))
    yield Filled(s3, store.name.removeprefix("s3://"), tmp_path)


class Customer:
    """Has the program of the page, a credential for the bucket, and one for the key service."""

    def __init__(self, filled: Filled, program: Sequence[str], key_service: str) -> None:
        self._filled, self._program, self._key_service = filled, program, key_service

    def reads(
        self, manifest: Sequence[object], reader: dict[str, str], workspace: str
    ) -> subprocess.CompletedProcess[bytes]:
        given = {
            "AWS_ACCESS_KEY_ID": self._filled.s3.access_key,
            "AWS_SECRET_ACCESS_KEY": self._filled.s3.secret_key,
            "AWS_REGION": self._filled.s3.region,
            "AWS_ENDPOINT_URL_S3": self._filled.s3.endpoint,
            "BUCKET": self._filled.bucket,
            "WORKSPACE": workspace,
            "KEY_SERVICE": self._key_service,
            "READER_ID": reader["access key id"],
            "READER_SECRET": reader["secret access key"],
        }
        return subprocess.run(
            self._program,
            input="".join(json.dumps(line) + "\n" for line in manifest).encode(),
            env={"PATH": os.environ["PATH"], **given},
            capture_output=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def key_service(filled: Filled) -> Iterator[tuple[Worker, str]]:
    """The process, and where it listens."""
    port, health = free_ports(2)
    settings = {"STRONGROOM_KEYSERVICE_PORT": str(port), "STRONGROOM_HTTP_PORT": str(health)}
    log_file = filled.folder / "keyservice.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [COMMAND, "keyservice"],
            env={**os.environ, **filled.with_keys(), **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    worker = Worker("keyservice", process, health, log_file)
    try:
        yield worker.wait_ready(), f"http://127.0.0.1:{port}"
        assert worker.stop() == 0
    finally:
        process.kill()


@pytest.fixture
def customer(filled: Filled, key_service: tuple[Worker, str], official_python: Path) -> Customer:
    [block] = re.findall(r"^```python\n(# read\.py.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    program = filled.folder / "read.py"
    program.write_text(block)
    return Customer(filled, [str(official_python), str(program)], key_service[1])


async def test_a_customer_reads_its_own_objects_and_nobody_elses(
    filled: Filled, customer: Customer, key_service: tuple[Worker, str]
) -> None:
    acme, beta = (
        json.loads(strongroom(filled.with_keys(), "readers", "add", "--workspace", workspace, "--json"))
        for workspace in ("acme", "beta")
    )
    # it is given neither a root key nor a Kafka
    printed = strongroom(filled.settings(), "manifest", "--workspace", "acme")
    manifest: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
    assert len(manifest) == ENTRIES

    opened = customer.reads(manifest, acme, "acme")
    assert opened.returncode == 0, opened.stderr.decode()
    lines = zstandard.ZstdDecompressor().stream_reader(opened.stdout, read_across_frames=True).readall()
    assert lines.splitlines() == [envelope("key-acme")] * 4 * ENTRIES

    # whoever has the sealed bytes and the context of another customer gets no key for them
    foreign = customer.reads(manifest[:1], beta, "acme")
    assert (foreign.returncode, foreign.stdout) == (1, b"")
    assert "AccessDeniedException" in foreign.stderr.decode()
    calls = [json.loads(line) for line in key_service[0].log_file.read_text().splitlines()]
    outcomes = [
        (call["workspace"], call["asked_workspace"], call["outcome"], call["object"])
        for call in calls
        if call.get("event") == "key_service_call"
    ]
    names = [line["key"] for line in manifest]
    assert outcomes == [
        *(("acme", "acme", "decrypted", name) for name in names),
        ("beta", "acme", "access_denied", names[0]),
    ]
