"""`strongroom worker judge` as processes on a real Kafka and S3, two of which are killed -9."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.origins.deaths import lived
from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet

pytestmark = pytest.mark.integration


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    prefix = f"t{uuid.uuid4().hex[:8]}-"
    fleet = Fleet(tmp_path, kafka.bootstrap, s3.endpoint, s3.bucket(), prefix, partitions=2)
    fleet.create()
    yield fleet
    fleet.close()


def test_judges_that_are_killed_end_with_the_verdicts_of_one_that_is_not(fleet: Fleet, s3: S3) -> None:
    ended = lived(fleet, s3.region, kills=2, rng=random.Random(uuid.uuid4().int))
    assert not ended.unlike
    assert ended.verdicts
    assert ended.entries == ended.verdicts  # each was said once
