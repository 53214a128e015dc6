"""What a contender stored: whether each record is there once."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import boto3  # type: ignore[import-untyped]  # ships no types
import zstandard

from tests.benchmarks.peers.given import Given
from tests.benchmarks.peers.workload import MESSAGE_ID, dropped_keys, workload


class CameBack(NamedTuple):
    """Records."""

    once: int
    lost: int
    doubled: int
    not_dropped: int

    @property
    def whole(self) -> bool:
        return not (self.lost or self.doubled or self.not_dropped)

    def __str__(self) -> str:
        return (
            f"{self.once:,} once, {self.lost:,} lost, {self.doubled:,} doubled, "
            f"{self.not_dropped:,} not dropped"
        )


def zstd_objects(given: Given) -> Iterator[bytes]:
    client = boto3.client("s3", endpoint_url=given.fleet.endpoint)
    unpack = zstandard.ZstdDecompressor()
    for each in _listed(client, given.bucket):
        body = client.get_object(Bucket=given.bucket, Key=each["Key"])["Body"].read()
        yield unpack.decompressobj().decompress(body)


def _listed(client: Any, bucket: str) -> Iterator[Any]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from page.get("Contents", ())


def counted(parts: Iterable[bytes], given: Given) -> CameBack:
    """How many of the records that were to be kept came back how often, and how many that were not."""
    seen = bytearray(given.count)
    numbered = re.compile(MESSAGE_ID)
    for part in parts:
        for found in numbered.findall(part):
            seen[int(found, 16)] += 1
    dropped = {key.encode() for key in dropped_keys(given.profile)}
    times: Counter[int] = Counter()
    leaked = 0
    for number, (key, _) in enumerate(workload(given.profile, given.count)):
        if key in dropped:
            leaked += seen[number] > 0
        else:
            times[min(seen[number], 2)] += 1
    return CameBack(times[1], times[0], times[2], leaked)
