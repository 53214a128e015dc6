"""An operator rotates and shreds keys under a running worker; an independent reader says what still opens."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.conftest import fleet_on
from tests.system.fleet import COMMAND, Fleet
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

KEYS = {"acme": "acme-api-key-0001", "rival": "rival-api-key-001"}


@pytest.fixture
def kept(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet whose bucket keeps versions."""
    for fleet in fleet_on(kafka, s3, tmp_path):
        fleet.bucket = s3.versioned_bucket()
        yield fleet


def send(fleet: Fleet, first: int, count: int) -> dict[int, int]:
    names = [(workspace, f"{workspace}{n}") for n in range(first, first + count) for workspace in KEYS]
    records = [(name, envelope(KEYS[workspace], name)) for workspace, name in names]
    return produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)


def standing(fleet: Fleet, code: int = 0) -> dict[str, dict[str, object]]:
    return {row["workspace"]: row for row in fleet.json("keystore", "status", code=code)}


def test_keys_are_rotated_and_shredded_while_a_worker_runs(kept: Fleet, s3: S3) -> None:
    fleet, reader = kept, Reader(s3.client, kept.bucket, kept.root_key_file)
    fleet.settings |= {"STRONGROOM_KEY_CACHE_LIFE": "5"}
    for workspace, key in KEYS.items():
        fleet.run("workspaces", "set", workspace, "--source", "api:server")
        fleet.run("keys", "add", key, "--workspace", workspace, "--source", "api")
    worker = fleet.worker().wait_ready()
    fleet.wait_archived(send(fleet, 0, 200))
    assert {row["generation"] for row in standing(fleet).values()} == {1}

    # killed when all rows are under the new key and the old one is still there
    rotation = [str(COMMAND), "keystore", "rotate", "workspace", "acme", "--reason", "a colleague left"]
    with subprocess.Popen(rotation, env=fleet.environment(), stderr=subprocess.PIPE, text=True) as rotating:
        assert rotating.stderr is not None
        said = next(line for line in rotating.stderr if "waiting" in line or "rror" in line)
        rotating.kill()
    assert "waiting until no cache" in said
    row = standing(fleet, code=1)["acme"]
    assert (row["generation"], row["generations"], row["older"]) == (2, 2, 0)
    assert row["remarks"] == "a rotation is under way"
    fleet.wait_archived(send(fleet, 200, 200))
    assert worker.stop() == 0
    everything = Counter(f"{workspace}{n}" for n in range(400) for workspace in KEYS)
    assert Counter(json.loads(line)["event"]["messageId"] for _, line in reader.lines()) == everything
    assert fleet.json("verify")["clean"]

    [(name, day)] = {
        (key, key.split("day=")[1][:10]) for key in reader.keys("keys/v1/ws=acme/src=api/") if "day=" in key
    }
    old, _ = reader.get(name)
    shred = ["keystore", "shred", "day", "acme", day, "--reason", "asked to forget"]
    asked = fleet.run(*shred, code=1, stdin=b"no\n")
    assert b"records\t400" in asked.stdout
    fleet.run("read", "--workspace", "acme")
    done = fleet.run(*shred, stdin=f"acme {day}\n".encode())
    assert b"the last worker that has it cached lets go at 20" in done.stderr
    for put_back in (False, True):
        if put_back:
            s3.client.put_object(Bucket=fleet.bucket, Key=name, Body=old)
        refused = fleet.run("read", "--workspace", "acme", code=1)
        assert b"was shredded" in refused.stderr
        assert len(fleet.run("read", "--workspace", "rival").stdout.splitlines()) == 400
    versions = s3.client.list_object_versions(Bucket=fleet.bucket, Prefix=name)["Versions"]
    assert len(versions) == 2, "the tombstone, and what was put back over it"
    assert fleet.json("verify")["clean"], "what is shredded is still in the ledger, and where it was"
    assert [event["what"] for event in fleet.json("keystore", "events")] == [
        "rotation begun",
        "shredding begun",
        "shredding done",
    ]
