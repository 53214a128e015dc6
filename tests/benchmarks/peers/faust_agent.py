"""The archive as one builds it on Faust by its manual: an agent, a record at a time. At least once, if that.

python -m tests.benchmarks.peers.faust_agent BOOTSTRAP TOPIC COUNT ENDPOINT BUCKET FLUSH_BYTES DROPPED,…
"""

import asyncio
import os
import signal
import sys
import tempfile
import uuid
from typing import Any

import aioboto3  # type: ignore[import-untyped]  # ships no types
import faust
import msgspec
import zstandard


class Head(msgspec.Struct):
    write_key: str = msgspec.field(name="writeKey")


def main(bootstrap: str, topic: str, count: int, endpoint: str, bucket: str, limit: int, drop: str) -> None:
    app = faust.App(
        f"peer-{uuid.uuid4().hex[:8]}",
        broker=f"kafka://{bootstrap}",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
    )
    raw = app.topic(topic, value_type=bytes, value_serializer="raw", key_serializer="raw")
    decode, compress = msgspec.json.Decoder(Head).decode, zstandard.ZstdCompressor(level=1).compress
    dropped = frozenset(drop.split(","))
    groups: dict[str, list[bytes]] = {}
    held = seen = 0

    async def flush() -> None:
        nonlocal held
        places = asyncio.Semaphore(16)
        async with aioboto3.Session().client("s3", endpoint_url=endpoint) as s3:

            async def put(name: str, lines: list[bytes]) -> None:
                async with places:
                    body = compress(b"\n".join((*lines, b"")))
                    await s3.put_object(Bucket=bucket, Key=f"{name}/{uuid.uuid4().hex}", Body=body)

            await asyncio.gather(*(put(*group) for group in groups.items()))
        groups.clear()
        held = 0

    @app.agent(raw)
    async def archive(stream: faust.StreamT[Any]) -> None:
        nonlocal held, seen
        async for value in stream:
            seen += 1
            name = decode(value).write_key
            if name not in dropped:
                groups.setdefault(name, []).append(value)
                held += len(value)
            if held >= limit or seen == count:
                await flush()
            if seen == count:
                os.kill(os.getpid(), signal.SIGTERM)  # how a worker of Faust's is stopped

    worker = faust.Worker(app, loglevel="ERROR")
    worker.execute_from_commandline()


if __name__ == "__main__":
    bootstrap, topic, count, endpoint, bucket, limit, drop = sys.argv[1:]
    main(bootstrap, topic, int(count), endpoint, bucket, int(limit), drop)
