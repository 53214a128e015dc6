# mypy: ignore-errors
# (what it imports is in an environment of its own)
"""The archive as one builds it on Quix Streams: an application with a sink that batches. At least once.

Runs in an environment of its own: python quix.py BOOTSTRAP TOPIC ENDPOINT BUCKET COMMIT_EVERY DROPPED,…
(AWS_* name the credentials).
"""

import json
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import boto3
import zstandard
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

IDLE = 10.0  # seconds without a record, after which it ends


class ByKey(BatchingSink):
    """An object a write key and batch."""

    def __init__(self, endpoint: str, bucket: str) -> None:
        super().__init__()
        self._client = boto3.client("s3", endpoint_url=endpoint)
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(16)

    def write(self, batch: SinkBatch) -> None:
        groups: dict[str, list[bytes]] = {}
        for item in batch:
            groups.setdefault(item.value[0], []).append(item.value[1])
        list(self._threads.map(self._put, groups.items()))

    def _put(self, group: tuple[str, list[bytes]]) -> None:
        body = zstandard.ZstdCompressor(level=1).compress(b"\n".join((*group[1], b"")))
        self._client.put_object(Bucket=self._bucket, Key=f"{group[0]}/{uuid.uuid4().hex}", Body=body)


def main(bootstrap: str, topic: str, endpoint: str, bucket: str, every: int, drop: str) -> None:
    dropped = frozenset(drop.split(","))
    app = Application(
        broker_address=bootstrap,
        consumer_group=f"peer-{uuid.uuid4().hex[:8]}",
        auto_offset_reset="earliest",
        auto_create_topics=False,
        commit_interval=10,
        commit_every=every,
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(topic, value_deserializer="bytes", key_deserializer="bytes"))
    frame = frame.apply(lambda value: (json.loads(value)["writeKey"], value))
    frame = frame.filter(lambda event: event[0] not in dropped)
    frame.sink(ByKey(endpoint, bucket))
    app.run(timeout=IDLE)  # a count would be of what the filter lets through


if __name__ == "__main__":
    bootstrap, topic, endpoint, bucket, every, drop = sys.argv[1:]
    main(bootstrap, topic, endpoint, bucket, int(every), drop)
