"""Every way to spoil an object, a row or a moment that has a name: each is refused, and shows nothing."""

import base64
from collections.abc import Iterator

import pytest

from tests.unit.sealing import (
    scenarios_of_buckets,
    scenarios_of_readers,
    scenarios_of_roots,
    scenarios_of_rotation,
    scenarios_of_rows,
    scenarios_of_sealing,
    scenarios_of_time,
    world,
)
from tests.unit.sealing.cases import (
    BODY,
    GOOD,
    METADATA,
    OBJECT,
    PLAIN,
    SCENARIOS,
    VECTORS,
    Case,
    opener,
    said,
)
from workers.errors import Poison
from workers.sealing.refusals import Refused

CASES = [*VECTORS, *SCENARIOS]
SECRETS = (PLAIN, world.PLAIN, bytes.fromhex(GOOD["key"]), b"r" * 32)
SOURCES = (
    scenarios_of_sealing,
    scenarios_of_rows,
    scenarios_of_time,
    scenarios_of_buckets,
    scenarios_of_readers,
    scenarios_of_roots,
    scenarios_of_rotation,
)  # of SCENARIOS


def spellings(secret: bytes) -> Iterator[str]:
    yield secret.decode("latin-1")
    yield repr(secret)[2:-1]
    yield secret.hex()
    yield base64.b64encode(secret).decode().rstrip("=")[:-1]


def test_there_are_enough_and_no_two_have_one_name() -> None:
    assert len(VECTORS) >= 170
    assert len(SCENARIOS) >= 100
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.refusal for case in VECTORS} == {
        "Damaged", "ForeignKey", "LegacyFormat", "MalformedHeader", "MalformedKey", "MixedVersions",
        "NotSealed", "UnknownSuite", "UnknownWrapping", "WrongCommitment", "WrongContext", "WrongKey",
    }  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_refused(case: Case) -> None:
    error = case.refused()
    assert type(error).__name__ == case.refusal, error
    assert error is not None
    if case.name != "body: the plaintext itself":  # its "ciphertext" is a local of whoever opens it
        spoken = said(error)
        for secret in SECRETS:
            for spelling in spellings(secret):
                assert spelling not in spoken


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case.name)
def test_a_spoilt_object_is_poison_and_hides_what_was_found_on_the_way(case: Case) -> None:
    error = case.refused()
    assert isinstance(error, Refused)
    assert isinstance(error, Poison)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_the_unspoilt_object_opens() -> None:
    assert opener().open(BODY, METADATA, OBJECT) == PLAIN
