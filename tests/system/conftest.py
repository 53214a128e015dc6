"""A fleet of its own for each test, on the run's real Kafka and S3."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.kafka import Kafka
from tests.stack.s3 import S3
from tests.system.fleet import Fleet
from tests.system.reader import Reader


def fleet_on(kafka: Kafka, s3: S3, folder: Path) -> Iterator[Fleet]:
    fleet = Fleet(folder, kafka.bootstrap, s3.endpoint, s3.bucket(), f"t{uuid.uuid4().hex[:8]}-")
    fleet.create()
    yield fleet
    fleet.close()


@pytest.fixture
def fleet(kafka: Kafka, s3: S3, tmp_path: Path) -> Iterator[Fleet]:
    yield from fleet_on(kafka, s3, tmp_path)


@pytest.fixture
def reader(fleet: Fleet, s3: S3) -> Reader:
    return Reader(s3.client, fleet.bucket, fleet.root_key_file)
