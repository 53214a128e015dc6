"""The roles' policies say what docs/operations.md says of them: who may read, write and delete what."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.unit.deploy.manifests import COMPONENTS, DEPLOY, read_base
from workers.sealing.roots import root_context

BUCKET = "arn:aws:s3:::strongroom"
PREFIXES = (
    "fleet.json",
    "ledger/v1/x",
    "checkpoints/v1/x",
    "units/v1/x",
    "units/v1/ws=_platform/src=unclaimed/x",
    "units/v1/ws=x/clock=quarantine/x",
    "policy/v1/x",
    "policy/v1/origin-verdicts/x",
    "policy-folds/v1/write-keys/x",
    "policy-published/v1/write-keys/x",
    "policy-published/v1/origin-verdicts/x",
    "judge/v1/x",
    "keys/v1/ws=x/l1.json",
    "keys/v1/ws=x/reader=x",
    "keys/v1/ws=x/src=x",
    "keys/v1/ws=_platform/src=judge/x",
    "keys/v1/events/x",
    "keys/v1/tombstones/x",
    "data/ws=x",
    "data/ws=_platform/src=unclaimed/x",
    "data/ws=x/quarantined/x",
    "data/ws=x/from=x.x.quarantine.x",
    "data/ws=x/from=_platform.unclaimed.unclaimed.x",
    "retention/v1/pending/x",
    "retention/v1/closing/x",
    "retention/v1/approvals/x",
    "retention/v1/index/x",
    "certificates/v1/x",
    "probe/x",
    "else",
)
UNIT_ROWS = {"keys/v1/ws=x/src=x", "keys/v1/ws=_platform/src=judge/x"}
ROWS = {"keys/v1/ws=x/l1.json", "keys/v1/ws=x/reader=x", *UNIT_ROWS}
KEYS = {*ROWS, "keys/v1/events/x", "keys/v1/tombstones/x"}
UNCLAIMED = "data/ws=_platform/src=unclaimed/x"
REPLAYED = {"units/v1/ws=_platform/src=unclaimed/x", "data/ws=x/from=_platform.unclaimed.unclaimed.x"}
DATA = {key for key in PREFIXES if key.startswith("data/")}
VERDICTS = {"policy/v1/origin-verdicts/x", "policy-published/v1/origin-verdicts/x"}
PUBLISHED = {"policy-published/v1/write-keys/x", "policy-published/v1/origin-verdicts/x"}
POLICY = {"policy/v1/x", "policy/v1/origin-verdicts/x"}
RELEASED = {"units/v1/ws=x/clock=quarantine/x", "data/ws=x/from=x.x.quarantine.x"}
UNITS = {key for key in PREFIXES if key.startswith("units/")}
READ, WRITE, DELETE, PURGE = "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"
MAY: dict[str, dict[str, set[str]]] = {
    "archive": {
        READ: {"fleet.json", "ledger/v1/x", *UNITS, *DATA, "probe/x", *KEYS},
        WRITE: {"fleet.json", "ledger/v1/x", *DATA, "probe/x", *KEYS},
        DELETE: {"probe/x"},
        PURGE: set(),
    },
    # of policy it publishes what stands, and changes nothing. It lists data/; what it opens and writes there
    # is what is unclaimed, and what that becomes
    "steward": {
        READ: {
            *("ledger/v1/x", "checkpoints/v1/x", "policy-folds/v1/write-keys/x", *POLICY, *PUBLISHED),
            *(*UNITS, UNCLAIMED, *REPLAYED, *KEYS),
        },
        WRITE: {"checkpoints/v1/x", *PUBLISHED, *REPLAYED, *KEYS},
        DELETE: DATA,
        PURGE: set(),
    },
    # it opens nothing: it destroys keys, deletes versions, and says what it did
    "retain": {
        READ: {
            *("ledger/v1/x", "probe/x", "certificates/v1/x", *POLICY, *UNITS),
            *("retention/v1/pending/x", "retention/v1/approvals/x", "retention/v1/index/x", *KEYS),
            "retention/v1/closing/x",
        },
        # of keys, units' and closed workspaces', no reader's: nor what a person put on record
        WRITE: {
            *("retention/v1/pending/x", "retention/v1/index/x", "certificates/v1/x", "probe/x", *UNITS),
            *(*UNIT_ROWS, "keys/v1/ws=x/l1.json", "keys/v1/tombstones/x", "retention/v1/closing/x"),
        },
        DELETE: {"retention/v1/pending/x", "retention/v1/closing/x", "probe/x"},
        PURGE: {*UNIT_ROWS, "keys/v1/ws=x/l1.json", *DATA},
    },
    # of policy it says what it concluded of hosts, and of keys it makes its snapshots' alone
    "judge": {
        READ: {"fleet.json", *VERDICTS, "judge/v1/x", "probe/x", *KEYS},
        WRITE: {*VERDICTS, "judge/v1/x", "keys/v1/ws=_platform/src=judge/x", "probe/x"},
        DELETE: {"judge/v1/x", "probe/x"},
        PURGE: set(),
    },
    # it reads keys, and can't even make a key come to be
    "keyservice": {READ: KEYS, WRITE: set(), DELETE: set(), PURGE: set()},
    # a person who rotates and shreds: what was done stays on record, and a tombstone is never deleted
    "keys": {
        READ: {"fleet.json", "ledger/v1/x", *UNITS, *KEYS},
        WRITE: {"fleet.json", *KEYS},
        DELETE: set(),
        PURGE: ROWS,
    },
    # a person who approves, blocks, releases and discards: of data, what is quarantined alone
    "origins": {
        READ: {
            *("ledger/v1/x", "policy-folds/v1/write-keys/x", *PUBLISHED, "data/ws=x/quarantined/x"),
            *(*POLICY, *UNITS, *KEYS, *RELEASED),
        },
        WRITE: {
            *("policy/v1/origin-verdicts/x", "policy-published/v1/origin-verdicts/x"),
            *(*UNIT_ROWS, *RELEASED),
        },
        DELETE: set(),
        PURGE: set(),
    },
}


PEOPLE = {"keys", "origins"}
ROOT_KEYS = {
    "arn:aws:kms:us-east-1:111122223333:key/11111111-1111-1111-1111-111111111111",
    "arn:aws:kms:us-west-2:111122223333:key/22222222-2222-2222-2222-222222222222",
}
# workspaces' keys alone: any other call has another purpose in its context, or none
ONLY_OURS = {"StringEquals": {"kms:EncryptionContext:purpose": root_context("acme", 1)["purpose"]}}
MAY_WITH_ROOT_KEYS = {
    "archive": {"kms:Encrypt", "kms:Decrypt"},
    "steward": {"kms:Encrypt", "kms:Decrypt"},
    "retain": set(),
    "judge": {"kms:Encrypt", "kms:Decrypt"},
    "keyservice": {"kms:Decrypt"},
    "keys": {"kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo"},
    "origins": {"kms:Encrypt", "kms:Decrypt"},
}


def policy(role: str) -> list[dict[str, Any]]:
    policy = json.loads((DEPLOY / "iam" / f"{role}.json").read_text())
    assert policy["Version"] == "2012-10-17"
    found: list[dict[str, Any]] = policy["Statement"]
    return found


def of_root_keys(statement: dict[str, Any]) -> bool:
    return texts(statement["Action"])[0].startswith("kms:")


def statements(role: str) -> list[dict[str, Any]]:
    """Those about the bucket."""
    return [statement for statement in policy(role) if not of_root_keys(statement)]


def texts(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def effects(
    found: list[dict[str, Any]], action: str, resource: str, *, headers: tuple[str, ...] = ("if-none-match",)
) -> Iterator[str]:
    """Of the statements that apply to a request with these headers: as AWS reads them."""
    for statement in found:
        [(operator, absent)] = statement.get("Condition", {"Null": {}}).items()
        assert operator == "Null"
        assert {*absent.values()} <= {"true"}
        if any(key.removeprefix("s3:") in headers for key in absent):
            continue
        named = "Resource" if "Resource" in statement else "NotResource"
        hit = any(fnmatchcase(resource, pattern) for pattern in texts(statement[named]))
        if action in texts(statement["Action"]) and hit == (named == "Resource"):
            yield statement["Effect"]


def may(found: list[dict[str, Any]], action: str, resource: str) -> bool:
    """An explicit Deny counts more than any Allow, and nothing is allowed by silence."""
    return {*effects(found, action, resource)} == {"Allow"}


def test_each_role_and_each_person_has_a_policy() -> None:
    assert {path.stem for path in (DEPLOY / "iam").glob("*.json")} == {*COMPONENTS, *PEOPLE} == {*MAY}


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


@pytest.mark.parametrize("role", ["archive", "steward", "origins"])
def test_a_stolen_worker_overwrites_nothing_that_was_committed(role: str) -> None:
    found = statements(role)
    for key in MAY[role][WRITE]:
        without = {*effects(found, WRITE, f"{BUCKET}/{key}", headers=())}
        committed = ("ledger/", "checkpoints/", "units/", "data/", "policy/")
        assert ("Deny" in without) == key.startswith(committed), key


def test_a_stolen_retain_worker_overwrites_no_proof() -> None:
    found = statements("retain")
    for key in MAY["retain"][WRITE]:
        without = {*effects(found, WRITE, f"{BUCKET}/{key}", headers=())}
        assert ("Deny" in without) == key.startswith(("units/", "certificates/")), key


def test_a_stolen_judge_overwrites_no_verdict() -> None:
    found = statements("judge")
    for key in MAY["judge"][WRITE]:
        without = {*effects(found, WRITE, f"{BUCKET}/{key}", headers=())}
        assert ("Deny" in without) == key.startswith(("policy/", "judge/")), key


def test_nothing_is_granted_by_a_wildcard_or_on_another_bucket() -> None:
    for role in MAY:
        for statement in statements(role):
            assert not any("*" in action for action in texts(statement["Action"]))
            for resource in texts(statement.get("Resource") or statement["NotResource"]):
                assert resource == BUCKET or resource.startswith(f"{BUCKET}/")


@pytest.mark.parametrize("role", MAY_WITH_ROOT_KEYS)
def test_what_a_role_may_do_with_the_root_keys(role: str) -> None:
    found = [statement for statement in policy(role) if of_root_keys(statement)]
    for statement in found:
        assert statement["Effect"] == "Allow"
        assert set(statement["Resource"]) == ROOT_KEYS
    granted = {action: statement for statement in found for action in texts(statement["Action"])}
    described = granted.pop("kms:DescribeKey", None)
    assert set(granted) == MAY_WITH_ROOT_KEYS[role]
    assert (described is None) == (not granted)
    for statement in granted.values():
        assert statement["Condition"] == ONLY_OURS
    assert described is None or "Condition" not in described  # DescribeKey has no context to look at


def test_the_bucket_is_that_of_the_manifests() -> None:
    for component in COMPONENTS:
        [settings] = read_base(component).settings.values()
        assert settings["STRONGROOM_S3_BUCKET"] == BUCKET.rpartition(":")[2]
