"""The roles' policies say what docs/operations.md says of them: who may read, write and delete what."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.unit.deploy.manifests import COMPONENTS, DEPLOY, read_base

BUCKET = "arn:aws:s3:::strongroom"
PREFIXES = (
    "fleet.json",
    "ledger/v1/x",
    "units/v1/x",
    "policy/v1/x",
    "keys/v1/ws=x",
    "keys/v1/events/x",
    "keys/v1/tombstones/x",
    "data/ws=x",
    "probe/x",
    "else",
)
KEYS = {"keys/v1/ws=x", "keys/v1/events/x", "keys/v1/tombstones/x"}
READ, WRITE, DELETE, PURGE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"
MAY: dict[str, dict[str, set[str]]] = {
    "archive": {
        READ: {"fleet.json", "ledger/v1/x", "data/ws=x", "probe/x", *KEYS},
        WRITE: {"fleet.json", "ledger/v1/x", "data/ws=x", "probe/x", *KEYS},
        DELETE: {"probe/x"},
        PURGE: set(),
    },
    # it lists data/ and opens nothing there
    "steward": {READ: {"ledger/v1/x"}, WRITE: set(), DELETE: {"data/ws=x"}, PURGE: set()},
    # a person who rotates and shreds: what was done stays on record, and a tombstone is never deleted
    "keys": {
        READ: {"fleet.json", "ledger/v1/x", *KEYS},
        WRITE: {"fleet.json", *KEYS},
        DELETE: set(),
        PURGE: {"keys/v1/ws=x"},
    },
}


def statements(role: str) -> list[dict[str, Any]]:
    policy = json.loads((DEPLOY / "iam" / f"{role}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def effects(found: list[dict[str, Any]], action: str, resource: str) -> Iterator[str]:
    """Of the statements that apply: as AWS reads them, conditions aside, of which there are none."""
    for statement in found:
        assert "Condition" not in statement
        named = "Resource" if "Resource" in statement else "NotResource"
        hit = any(fnmatchcase(resource, pattern) for pattern in texts(statement[named]))
        if action in texts(statement["Action"]) and hit == (named == "Resource"):
            yield statement["Effect"]


def may(found: list[dict[str, Any]], action: str, resource: str) -> bool:
    """An explicit Deny counts more than any Allow, and nothing is allowed by silence."""
    return {*effects(found, action, resource)} == {"Allow"}


def test_each_role_and_the_keys_keeper_has_a_policy() -> None:
    assert {path.stem for path in (DEPLOY / "iam").glob("*.json")} == {*COMPONENTS, "keys"} == {*MAY}


@pytest.mark.parametrize("action", [READ, WRITE, DELETE, PURGE])
@pytest.mark.parametrize("role", MAY)
def test_what_a_role_may(role: str, action: str) -> None:
    found = statements(role)
    assert {key for key in PREFIXES if may(found, action, f"{BUCKET}/{key}")} == MAY[role][action]


@pytest.mark.parametrize("role", MAY)
def test_a_missing_name_looks_missing_and_not_forbidden(role: str) -> None:
    """Without s3:ListBucket on all of the bucket, S3 answers 403 where 404 is meant."""
    assert may(statements(role), "s3:ListBucket", BUCKET)


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("action", [DELETE, PURGE])
def test_no_other_policy_can_add_to_what_may_be_deleted(role: str, action: str) -> None:
    found = statements(role)
    for key in {*PREFIXES} - MAY[role][action]:
        assert "Deny" in effects(found, action, f"{BUCKET}/{key}"), key


def test_nothing_is_granted_by_a_wildcard_or_on_another_bucket() -> None:
    for role in MAY:
        for statement in statements(role):
            assert not any("*" in action for action in texts(statement["Action"]))
            for resource in texts(statement.get("Resource") or statement["NotResource"]):
                assert resource == BUCKET or resource.startswith(f"{BUCKET}/")


def test_the_bucket_is_that_of_the_manifests() -> None:
    for component in COMPONENTS:
        [settings] = read_base(component).settings.values()
        assert settings["STRONGROOM_S3_BUCKET"] == BUCKET.rpartition(":")[2]
