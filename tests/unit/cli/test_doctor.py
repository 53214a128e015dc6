"""`strongroom doctor` tries every check, also where those before it had nothing to stand on."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workers import __main__
from workers.cli import doctor
from workers.sealing.root import FileRoot
from workers.settings_checks import PREFIX

NOWHERE = "127.0.0.1:1"
BUCKETS = ["s3://bucket", "s3://ledger", "s3://keys"]
Examine = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Examine:
    """Runs the doctor with a root key, three buckets and no credentials, near no server; check → its row."""
    for name in os.environ:
        if name.startswith((PREFIX, "AWS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(doctor, "PATIENCE", 0.1)
    FileRoot.create(tmp_path / "root.key")
    settings = {
        "KAFKA_BOOTSTRAP": NOWHERE,
        "S3_ENDPOINT": f"http://{NOWHERE}",
        "S3_BUCKET": "bucket",
        "LEDGER_BUCKET": "ledger",
        "KEYSTORE_BUCKET": "keys",
        "ROOT_KEY_FILE": str(tmp_path / "root.key"),
    }

    def run(code: int, **changed: str) -> dict[str, dict[str, Any]]:
        for name, value in {**settings, **changed}.items():
            monkeypatch.setenv(PREFIX + name, value)
        assert __main__.run(["doctor", "--json"]) == code
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return {row["check"]: row for row in json.loads(out.out)}

    return run


def failed(rows: dict[str, dict[str, Any]]) -> set[str]:
    return {check for check, row in rows.items() if row["state"] != "ok"}


def test_without_credentials_every_check_is_tried(examine: Examine) -> None:
    rows = examine(3)
    assert list(rows) == ["kafka", "topics", *BUCKETS, "root key", "fleet", "policy"]
    assert failed(rows) == {"kafka", "topics", *BUCKETS, "fleet", "policy"}
    for bucket in BUCKETS:
        assert "no credentials" in rows[bucket]["detail"]
        assert "Check the credentials" in rows[bucket]["remedy"]
    assert NOWHERE in rows["kafka"]["detail"]
    assert rows["root key"]["detail"].startswith("file:")


def test_certificates_that_are_not_there_stop_the_checks_of_kafka_alone(
    examine: Examine, tmp_path: Path
) -> None:
    rows = examine(1, KAFKA_TLS="true", KAFKA_CA_FILE=str(tmp_path / "none.pem"))
    assert "none.pem" in rows["kafka"]["detail"]
    assert "no credentials" in rows["s3://bucket"]["detail"]
    assert rows["root key"]["state"] == "ok"


def test_what_a_person_must_mend_counts_more_than_what_may_pass(examine: Examine, tmp_path: Path) -> None:
    rows = examine(1, ROOT_KEY_FILE=str(tmp_path / "none.key"))
    assert {"root key", *BUCKETS} <= failed(rows)
    assert "none.key" in rows["root key"]["detail"]


def test_a_root_key_in_kms_that_does_not_answer_is_named_beside_the_one_that_works(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    rows = examine(3, KMS_KEYS=key, KMS_ENDPOINT=f"http://{NOWHERE}")
    assert rows["root key"]["state"] == "failed"
    assert f"root key kms:{key}: " in rows["root key"]["detail"]
    assert "no answer" in rows["root key"]["detail"]
    assert "file:" not in rows["root key"]["detail"]


def test_no_root_key_at_all_is_told_with_both_ways_to_name_one(examine: Examine) -> None:
    rows = examine(2, ROOT_KEY_FILE="")
    assert "neither STRONGROOM_KMS_KEYS nor STRONGROOM_ROOT_KEY_FILE is set" in rows["root key"]["detail"]


def test_no_answer_is_told_with_a_remedy_for_who_runs_a_command(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    rows = examine(3)
    for bucket in BUCKETS:
        assert "no answer" in rows[bucket]["detail"]
        assert "check its address, and try again" in rows[bucket]["remedy"]
