"""The servers of a benchmark, a fleet of its own for each turn on them, and what `verify` says of it."""

import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.load import PARTITIONS
from tests.stack import ladder
from tests.stack.kafka import Kafka, kafka_on
from tests.stack.s3 import ACCESS_KEY, REGION, S3, SECRET_KEY, s3_on
from tests.stack.secured import SecuredKafka
from tests.system.fleet import Fleet


@contextmanager
def stack() -> Iterator[tuple[str, S3]]:
    """The servers by Kafka's address."""
    with servers() as (kafka, s3):
        yield kafka.bootstrap, s3


@contextmanager
def servers(log: Path | None = None) -> Iterator[tuple[Kafka, S3]]:
    """`log`: where S3 writes what it is asked for (asked_of_s3.py), if it is versitygw as a process."""
    kafka, s3 = kafka_on(ladder.kafka()), s3_on(ladder.s3(), log)
    with started(kafka, s3):
        yield kafka, s3


@contextmanager
def started(kafka: Kafka | SecuredKafka, s3: S3) -> Iterator[None]:
    """The servers at work, with S3's credentials in the environment; closed at the end."""
    # what is installed is compiled, as the image's is: else each start of a worker would compile 250 files
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.update(AWS_ACCESS_KEY_ID=ACCESS_KEY, AWS_SECRET_ACCESS_KEY=SECRET_KEY, AWS_REGION=REGION)
    try:
        kafka.start()
        s3.start()
        yield
    finally:
        s3.close()
        kafka.close()


@contextmanager
def own_fleet(
    bootstrap: str,
    s3: S3,
    settings: Mapping[str, str] | None = None,
    *,
    partitions: int = PARTITIONS,
    bucket: str | None = None,
) -> Iterator[Fleet]:
    """With a root key, topics and, without `bucket`, a bucket that nobody else has; its workers are closed
    at the end."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"t{uuid.uuid4().hex[:8]}-"
        own = bucket or s3.bucket()
        fleet = Fleet(Path(folder), bootstrap, s3.endpoint, own, prefix, partitions, dict(settings or {}))
        fleet.create()
        try:
            yield fleet
        finally:
            fleet.close()


def proved(fleet: Fleet, count: int) -> dict[str, Any]:
    """What `verify` reports: that `count` records were accepted, and nothing else was there."""
    report: dict[str, Any] = fleet.json("verify")
    assert report["clean"] and report["offsets"] == count, report
    assert report["records"].get("accepted", 0) == count, report
    return report
