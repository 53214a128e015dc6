"""Due units go in all versions, nothing else does, whoever is killed on the way (many_days.py, in short)."""

import pytest

from tests.integration.retention.many_days import Run, go
from tests.integration.retention.wishes import FEWEST
from tests.stack.s3 import S3


@pytest.mark.integration
async def test_days_in_a_row_with_workers_that_are_killed(s3: S3) -> None:
    run = Run(days=FEWEST, customers=FEWEST, seed=7)
    await go(s3, run, lives=300)
    assert run.found is not None
    assert run.found.wrong == []
    assert run.found.gone
    assert run.found.kept
