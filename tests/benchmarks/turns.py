"""A turn of a benchmark: a fleet of its own on servers that all turns share, and what `verify` says of it."""

import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_archive import PARTITIONS
from tests.stack.s3 import S3
from tests.system.fleet import Fleet


@contextmanager
def own_fleet(bootstrap: str, s3: S3, **settings: str) -> Iterator[Fleet]:
    """With a root key, a bucket and topics that nobody else has; its workers are closed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"t{uuid.uuid4().hex[:8]}-"
        fleet = Fleet(
            Path(folder),
            bootstrap,
            s3.endpoint,
            s3.bucket(),
            prefix,
            partitions=PARTITIONS,
            settings=settings,
        )
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
