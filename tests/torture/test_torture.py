"""The short form of torture: everything that `make torture` does, once, within the tests."""

from pathlib import Path

import pytest

from tests.integration.sealing.environment import official_python
from tests.stack import ladder
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.torture.report import text
from tests.torture.rig import Plan, Rig

KILLS, RECORDS = 10, 200_000
PLAN = Plan(
    seed=4,
    kills=KILLS,
    records=RECORDS,
    seconds=420,  # at the latest; it ends when each fault took effect
    rate=2500,
    pause=0.5,
)


@pytest.mark.system
@pytest.mark.timeout(1500)
def test_nothing_is_lost_duplicated_or_reordered_whatever_happens(
    kafka: Kafka, s3: S3, tmp_path: Path
) -> None:
    rig = Rig(PLAN, kafka, s3, tmp_path, official_python(ladder.PROJECT), print)
    result = rig.run("pytest tests/torture/test_torture.py")
    print(text(result))
    assert result.passed, text(result)
    assert result.kills >= KILLS
    assert result.verdict.acknowledged >= RECORDS
    assert all(result.faults.values())
