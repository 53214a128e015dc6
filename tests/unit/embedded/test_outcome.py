"""A demo holds what the ledger says against what had to become of the records."""

from collections import Counter

from workers.embedded.outcome import Outcome, differences
from workers.intake.dispositions import Clock, Disposition
from workers.ledger.entries import StoredObject

EXPECTED = {
    "shop": {"accepted": {"accepted": 2}, "rejected": {"revoked_key": 3}},
    "news": {"rejected": {"revoked_key": 1, "abused_key": 1}},
}


def stored(workspace: str, records: int) -> StoredObject:
    return StoredObject(
        key=f"data/ws={workspace}",
        workspace=workspace,
        source="web",
        day="2026-11-25",
        disposition=Disposition.ACCEPTED,
        clock=Clock.MAIN,
        records=records,
        plain_bytes=1,
        stored_bytes=1,
        sha256="",
        key_generation=1,
    )


def outcome(records: int, **rejected: int) -> Outcome:
    found = Outcome()
    found.stored["shop"].append(stored("shop", records))
    found.reasons["accepted"] = Counter(accepted=records)
    found.reasons["rejected"] = Counter(rejected)
    return found


def test_what_is_as_expected_is_no_difference() -> None:
    assert list(differences(outcome(2, revoked_key=4, abused_key=1), EXPECTED)) == []


def test_a_record_too_few_is_told_with_its_workspace_and_reason() -> None:
    assert list(differences(outcome(1, revoked_key=4, abused_key=1), EXPECTED)) == [
        "shop: 1 records accepted, expected were 2",
        "accepted: accepted 1; expected were accepted 2",
    ]


def test_a_rejection_for_another_reason_is_told() -> None:
    assert list(differences(outcome(2, revoked_key=5), EXPECTED)) == [
        "rejected: revoked_key 5; expected were abused_key 1, revoked_key 4"
    ]


def test_a_disposition_that_nobody_expected_is_told() -> None:
    found = outcome(2, revoked_key=4, abused_key=1)
    found.reasons["flagged"] = Counter(null_origin=1)
    assert list(differences(found, EXPECTED)) == ["flagged: null_origin 1; expected were nothing"]
