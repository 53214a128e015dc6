"""The steward signs how far each chain has come, and an auditor with the public key alone sees a cut."""

import json
import subprocess
import uuid
from pathlib import Path

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from tests.stack.s3 import S3
from tests.system.fleet import Fleet, wait_until
from tests.system.reader import Reader
from tests.system.traffic import envelope, produce

pytestmark = pytest.mark.system

RECORDS = 40


def test_a_cut_chain_is_found_by_the_second_bucket_and_by_the_audit_topic(
    fleet: Fleet, reader: Reader, s3: S3
) -> None:
    private, public = made_keys(fleet.folder)
    worker = fleet.worker().wait_ready()
    records = [(f"k{n}", envelope("nobodys", f"m{n}")) for n in range(RECORDS)]
    ends = produce(fleet.bootstrap, f"{fleet.prefix}raw-events", records)
    fleet.wait_archived(ends)
    chains = sum(end > 0 for end in ends.values())
    assert worker.stop() == 0

    fleet.settings |= {
        "STRONGROOM_CHECKPOINT_BUCKET": s3.bucket(),
        "STRONGROOM_CHECKPOINT_TRUST_FILE": str(public),
    }
    steward = fleet.worker(
        "steward", role="steward", STRONGROOM_CHECKPOINT_KEY_FILE=str(private)
    ).wait_ready()
    wait_until(lambda: steward.metric("strongroom_checkpoints_ended_seconds") > 0, 30, steward.log)
    assert steward.metric("strongroom_checkpoints_total") == chains
    assert steward.metric("strongroom_checkpoints_untold") == 0
    assert steward.stop() == 0
    report = fleet.json("verify", "--from-checkpoint")
    assert (report["clean"], report["checkpoints"]) == (True, 2 * chains)
    assert (report["entries"], report["vouched_offsets"]) == (0, RECORDS)

    # the newest entry goes, and with it whatever in this bucket could show it
    newest = [key for key in reader.keys("ledger/") if not key.endswith("genesis.json")][-1]
    for key in [newest, *reader.keys("checkpoints/")]:
        reader.client.delete_object(Bucket=fleet.bucket, Key=key)
    found = fleet.json("verify", code=1)
    assert (found["kinds"], found["findings"][0]["where"]) == ({"cut_tail": 1}, newest)
    del fleet.settings["STRONGROOM_CHECKPOINT_BUCKET"]
    kept = fleet.folder / "kept.ndjson"
    kept.write_text("\n".join(told(fleet, chains)))
    found = fleet.json("verify", "--checkpoints", str(kept), code=1)
    assert (found["kinds"], found["checkpoints"]) == ({"cut_tail": 1}, chains)


def made_keys(folder: Path) -> tuple[Path, Path]:
    """As docs/operations.md has them made: the private one's file, and the public one's."""
    private, public = folder / "checkpoint.pem", folder / "trusted.pem"
    for words in (
        ["genpkey", "-algorithm", "ed25519", "-out", str(private)],
        ["pkey", "-in", str(private), "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *words], check=True, capture_output=True)
    private.chmod(0o600)
    return private, public


def told(fleet: Fleet, count: int) -> list[str]:
    """What the audit topic has of checkpoints, each as a line of JSON."""
    consumer = Consumer({"bootstrap.servers": fleet.bootstrap, "group.id": uuid.uuid4().hex})
    topic = f"{fleet.prefix}audit"
    numbers = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
    found: list[str] = []
    try:
        while len(found) < count:
            message = consumer.poll(30)
            assert message is not None, found
            assert message.error() is None, message.error()
            record = json.loads(message.value() or b"")
            if record["action"] == "ledger.checkpoint":
                found.append(json.dumps(record["after"], separators=(",", ":")))
    finally:
        consumer.close()
    return found
