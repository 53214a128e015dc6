"""What a contender stored: how many objects and bytes, and whether each record is there once."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import boto3  # type: ignore[import-untyped]  # ships no types
import zstandard

from tests.benchmarks.peers.workload import MESSAGE_ID, dropped_keys, workload
from tests.stack.s3 import S3

if TYPE_CHECKING:
    from tests.benchmarks.bench_peers import Given


def stored(s3: S3, bucket: str) -> tuple[int, int]:
    """Objects and bytes."""
    sizes = [each["Size"] for each in _listed(s3.client, bucket)]
    return len(sizes), sum(sizes)


def zstd_objects(given: "Given") -> Iterator[bytes]:
    client = boto3.client("s3", endpoint_url=given.fleet.endpoint)
    unpack = zstandard.ZstdDecompressor()
    for each in _listed(client, given.bucket):
        body = client.get_object(Bucket=given.bucket, Key=each["Key"])["Body"].read()
        yield unpack.decompressobj().decompress(body)


def _listed(client: Any, bucket: str) -> Iterator[Any]:
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from page.get("Contents", ())


def counted(parts: Iterable[bytes], given: "Given") -> str:
    """Says how many of the records that were to be kept came back how often, and how many that were not."""
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
    return f"{times[1]:,} once, {times[0]:,} lost, {times[2]:,} doubled, {leaked:,} not dropped"
