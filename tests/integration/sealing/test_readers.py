"""A customer reads the archive with Amazon's client and a manifest, by the program of docs/readers.md."""

import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zstandard

from tests.stack.s3 import S3
from tests.system.reader import Reader
from tests.torture.kms import key_service
from tests.unit.intake.making import envelope
from tests.unit.ledger.audited import ENTRIES, archived
from workers.store.s3 import open_s3

PAGE = Path(__file__).parents[3] / "docs" / "readers.md"
ROOT_KEY = bytes(range(32))  # of tests.unit.ledger.audited


class Filled(NamedTuple):
    """A bucket that the archive's own flusher filled."""

    s3: S3
    bucket: str
    root_key_file: Path

    def manifest(self, workspace: str) -> list[dict[str, Any]]:
        """By the command, which is given neither a root key nor a Kafka."""
        settings = {
            "STRONGROOM_S3_ENDPOINT": self.s3.endpoint,
            "STRONGROOM_S3_REGION": self.s3.region,
            "STRONGROOM_S3_BUCKET": self.bucket,
        }
        done = subprocess.run(
            [sys.executable, "-m", "workers", "manifest", "--workspace", workspace],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def read(
        self, program: Sequence[str], workspace: str, manifest: Sequence[object]
    ) -> subprocess.CompletedProcess[bytes]:
        """What a customer's program says of it."""
        reader = Reader(self.s3.client, self.bucket, self.root_key_file)
        with key_service(reader) as kms:
            given = {
                "AWS_ACCESS_KEY_ID": self.s3.access_key,
                "AWS_SECRET_ACCESS_KEY": self.s3.secret_key,
                "AWS_REGION": self.s3.region,
                "AWS_ENDPOINT_URL_S3": self.s3.endpoint,
                "WORKSPACE": workspace,
                "BUCKET": self.bucket,
                "KEY_SERVICE": kms,
                "READER_ID": "reader",
                "READER_SECRET": "secret",
            }
            return subprocess.run(
                program,
                input="".join(json.dumps(line) + "\n" for line in manifest).encode(),
                env={"PATH": os.environ["PATH"], **given},
                capture_output=True,
                timeout=60,
                check=False,
            )


@pytest.fixture
async def filled(s3: S3, tmp_path: Path) -> AsyncIterator[Filled]:
    store = await open_s3(s3.bucket(), endpoint=s3.endpoint, region=s3.region, allow_http=True)
    await archived(store)
    await store.close()
    root_key_file = tmp_path / "root.key"
    root_key_file.write_bytes(base64.b64encode(ROOT_KEY))
    yield Filled(s3, store.name.removeprefix("s3://"), root_key_file)


@pytest.fixture
def shown(tmp_path: Path, official_python: Path) -> list[str]:
    """The program of the page."""
    [block] = re.findall(r"^```python\n(# read\.py.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "read.py").write_text(block)
    return [str(official_python), str(tmp_path / "read.py")]


async def test_a_customer_reads_its_objects_and_gets_no_others(filled: Filled, shown: list[str]) -> None:
    manifest = filled.manifest("acme")
    assert len(manifest) == ENTRIES
    opened = filled.read(shown, "acme", manifest)
    assert opened.returncode == 0, opened.stderr.decode()
    lines = zstandard.ZstdDecompressor().stream_reader(opened.stdout, read_across_frames=True).readall()
    assert lines.splitlines() == [envelope("key-acme")] * 4 * ENTRIES
    # an object of another day, source or customer never passes for the one that was asked for
    [swapped] = [{**manifest[0], "context": manifest[1]["context"]}]
    refused = filled.read(shown, "acme", [swapped])
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert "context" in refused.stderr.decode()
