"""Due units go in all versions, nothing else does, whoever is killed on the way (many_days.py, in short)."""

import pytest

from tests.integration.retention.many_days import run
from tests.stack.s3 import S3


@pytest.mark.integration
async def test_days_in_a_row_with_workers_that_are_killed(s3: S3) -> None:
    found = await run(s3, days=5, count=5, seed=7)
    assert found.wrong == []
    assert found.killed >= 1
    assert found.gone >= 4
    assert found.kept >= 10
