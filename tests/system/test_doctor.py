"""The doctor refuses what a worker must not run on, naming the thing and the remedy, without a traceback."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # stubs miss them
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.conftest import fleet_on
from tests.system.fleet import Fleet
from tests.system.forgetful_s3 import forgetful_s3

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def fleet(kafka: Kafka, s3: S3, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One for all: whoever changes something puts it right again."""
    yield from fleet_on(kafka, s3, tmp_path_factory.mktemp("fleet"))


def set_cleanup(fleet: Fleet, policy: str) -> None:
    resource = ConfigResource(ConfigResource.Type.TOPIC, f"{fleet.prefix}raw-events")
    resource.add_incremental_config(
        ConfigEntry("cleanup.policy", policy, incremental_operation=AlterConfigOpType.SET)
    )
    admin = AdminClient({"bootstrap.servers": fleet.bootstrap})
    admin.incremental_alter_configs([resource])[resource].result(30)


def examined(fleet: Fleet, code: int, **changed: str) -> dict[str, dict[str, Any]]:
    """Check → its row."""
    done = fleet.run("doctor", "--json", code=code, changed=changed)
    assert b"Traceback" not in done.stderr + done.stdout
    return {row["check"]: row for row in json.loads(done.stdout)}


def failed(rows: dict[str, dict[str, Any]]) -> list[str]:
    return [check for check, row in rows.items() if row["state"] != "ok"]


def test_all_is_well(fleet: Fleet) -> None:
    assert failed(examined(fleet, 0)) == []


def test_a_missing_topic(fleet: Fleet) -> None:
    rows = examined(fleet, 1, STRONGROOM_TOPIC_PREFIX="nowhere-")
    assert "topics" in failed(rows)
    assert "nowhere-raw-events" in rows["topics"]["detail"]
    assert "strongroom topics create" in rows["topics"]["remedy"]


def test_a_topic_with_the_wrong_clean_up(fleet: Fleet) -> None:
    set_cleanup(fleet, "compact")
    try:
        rows = examined(fleet, 1)
    finally:
        set_cleanup(fleet, "delete")
    assert failed(rows) == ["topics"]
    assert f"{fleet.prefix}raw-events: cleanup.policy is compact, must be delete" in rows["topics"]["detail"]


def test_another_root_key(fleet: Fleet) -> None:
    worker = fleet.worker().wait_ready()
    assert worker.stop() == 0
    other = fleet.folder / "other.key"
    subprocess.run(["openssl", "rand", "-base64", "-out", str(other), "32"], check=True, capture_output=True)
    other.chmod(0o600)
    rows = examined(fleet, 1, STRONGROOM_ROOT_KEY_FILE=str(other))
    assert failed(rows) == ["fleet"]
    assert "root key" in rows["fleet"]["detail"]
    assert "STRONGROOM_ROOT_KEY_FILE" in rows["fleet"]["remedy"]


def test_a_root_key_open_to_others(fleet: Fleet) -> None:
    fleet.root_key_file.chmod(0o644)
    try:
        rows = examined(fleet, 1)
    finally:
        fleet.root_key_file.chmod(0o600)
    assert "root key" in failed(rows)
    assert "chmod 600" in rows["root key"]["remedy"]


def test_a_broker_that_is_not_there(fleet: Fleet) -> None:
    rows = examined(fleet, 3, STRONGROOM_KAFKA_BOOTSTRAP="127.0.0.1:1")
    assert {"kafka", "topics"} <= set(failed(rows))
    assert "127.0.0.1:1" in rows["kafka"]["detail"]
    assert "STRONGROOM_KAFKA_BOOTSTRAP" in rows["kafka"]["remedy"]


def test_a_store_that_is_not_there(fleet: Fleet) -> None:
    rows = examined(fleet, 3, STRONGROOM_S3_ENDPOINT="http://127.0.0.1:1")
    assert f"s3://{fleet.bucket}" in failed(rows)


def test_a_bucket_that_is_not_there(fleet: Fleet) -> None:
    rows = examined(fleet, 1, STRONGROOM_S3_BUCKET="no-such-bucket-here")
    assert "s3://no-such-bucket-here" in failed(rows)


def test_a_store_that_ignores_conditions(fleet: Fleet) -> None:
    with forgetful_s3() as endpoint:
        rows = examined(fleet, 1, STRONGROOM_S3_ENDPOINT=endpoint)
    check = f"s3://{fleet.bucket}"
    assert check in failed(rows)
    assert "If-None-Match" in rows[check]["detail"]


@pytest.mark.parametrize(
    "changed", [{"STRONGROOM_TOPIC_PREFIX": "nowhere-"}, {"STRONGROOM_KAFKA_BOOTSTRAP": "127.0.0.1:1"}]
)
def test_a_worker_does_not_start_on_what_the_doctor_refuses(fleet: Fleet, changed: dict[str, str]) -> None:
    worker = fleet.worker(**changed)
    assert worker.process.wait(60) in (1, 3)
    assert "Traceback" not in worker.log()
    assert "strongroom topics create" in worker.log() or "STRONGROOM_KAFKA_BOOTSTRAP" in worker.log()


def test_a_setting_that_makes_no_sense_stops_the_start(fleet: Fleet) -> None:
    done = fleet.run(
        "doctor", code=2, changed={"STRONGROOM_FLUSH_BYTES": "-1", "STRONGROOM_FLUSH_BITES": "7"}
    )
    assert b"STRONGROOM_FLUSH_BYTES" in done.stderr
    assert b"STRONGROOM_FLUSH_BITES" in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_credentials_everything_else_is_examined_all_the_same(fleet: Fleet) -> None:
    rows = examined(fleet, 3, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert rows["kafka"]["state"] == rows["topics"]["state"] == rows["root key"]["state"] == "ok"
    assert f"s3://{fleet.bucket}" in failed(rows)
    assert "credentials" in rows[f"s3://{fleet.bucket}"]["detail"]
